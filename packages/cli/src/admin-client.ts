import { type IncomingMessage, type RequestOptions, request } from "node:http";
import { describeError, StackError } from "@smartstack/core";

export interface AdminOptions {
  /** `host:port`, `http://host:port` or `unix:/path`. */
  readonly admin?: string;
  readonly token?: string;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface AdminClient {
  /** @throws StackError when no process answers. */
  get(path: string): Promise<AdminAnswer>;
  put(path: string, body: unknown): Promise<AdminAnswer>;
}

/** A synapse or `up`, then a nerve. */
const DEFAULT_ADDRESSES = ["127.0.0.1:3210", "127.0.0.1:3211"];
const ANSWER_MS_MAX = 5_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Talks to the admin API of a running process: the named one, $SMARTSTACK_ADMIN, or the first that answers on this host.
 * @throws StackError CONFIG_INVALID when the name is no address.
 */
export function adminClient(options: AdminOptions, env: Readonly<Record<string, string | undefined>>): AdminClient {
  const named = options.admin ?? env.SMARTSTACK_ADMIN;
  const token = options.token ?? env.SMARTSTACK_ADMIN_TOKEN;
  const addresses = named === undefined || named === "" ? DEFAULT_ADDRESSES : [named];
  for (const address of addresses) targetOf(address);
  const call = async (method: string, path: string, body?: unknown): Promise<AdminAnswer> => {
    const failures: string[] = [];
    for (const address of addresses) {
      try {
        return await send(address, method, path, token, body);
      } catch (error) {
        failures.push(`${address}: ${describeError(error)}`);
      }
    }
    throw new StackError(
      "CLOSED",
      `no admin API answers (${failures.join("; ")}); is smartstack running? Name another one with --admin or SMARTSTACK_ADMIN`,
      { side: "self", retry: "after-backoff" },
    );
  };
  return { get: (path) => call("GET", path), put: (path, body) => call("PUT", path, body) };
}

/** Where an address leads. @throws StackError CONFIG_INVALID */
export function targetOf(address: string): Pick<RequestOptions, "host" | "port" | "socketPath"> {
  if (address.startsWith("unix:")) return { socketPath: address.slice("unix:".length).replace(/^\/\/(?=\/)/, "") };
  const match = /^(?:http:\/\/)?(\[[0-9a-fA-F:]+\]|[^/:[\]]+):(\d{1,5})\/?$/.exec(address);
  if (match?.[1] === undefined)
    throw new StackError("CONFIG_INVALID", `admin address ${address}: expected host:port or unix:/path`, {
      side: "config",
      retry: "never",
    });
  return { host: match[1].replace(/^\[|\]$/g, ""), port: Number(match[2]) };
}

function send(
  address: string,
  method: string,
  path: string,
  token: string | undefined,
  body: unknown,
): Promise<AdminAnswer> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(payload === undefined
      ? {}
      : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
  };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const outgoing = request({ ...targetOf(address), method, path, headers, signal, agent: false }, (response) => {
      readBody(response).then((text) => resolve({ status: response.statusCode ?? 0, body: parsed(text) }), reject);
    });
    outgoing.on("error", reject);
    outgoing.end(payload);
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`answer has more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

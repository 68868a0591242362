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
  /**
   * An answer that goes on until the process ends it, piece by piece; it fails when nothing comes for a while.
   * @throws StackError when no process answers, or one refuses.
   */
  stream(path: string, signal: AbortSignal): Promise<AsyncIterable<string>>;
}

/** A synapse or `up`, then a nerve. */
const DEFAULT_ADDRESSES = ["127.0.0.1:3210", "127.0.0.1:3211"];
const ANSWER_MS_MAX = 5_000;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Three heartbeats of the events API. */
const STREAM_SILENT_MS_MAX = 45_000;

/**
 * Talks to the admin API of a running process: the named one, $SMARTSTACK_ADMIN, or the first that answers on this host.
 * @throws StackError CONFIG_INVALID when the name is no address.
 */
export function adminClient(options: AdminOptions, env: Readonly<Record<string, string | undefined>>): AdminClient {
  const named = options.admin ?? env.SMARTSTACK_ADMIN;
  const token = options.token ?? env.SMARTSTACK_ADMIN_TOKEN;
  const addresses = named === undefined || named === "" ? DEFAULT_ADDRESSES : [named];
  for (const address of addresses) targetOf(address);
  const first = async <T>(ask: (address: string) => Promise<T>): Promise<T> => {
    const failures: string[] = [];
    for (const address of addresses) {
      try {
        return await ask(address);
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
  return {
    get: (path) => first((address) => send(address, "GET", path, token, undefined)),
    put: (path, body) => first((address) => send(address, "PUT", path, token, body)),
    stream: (path, signal) => first((address) => openStream(address, path, token, signal)),
  };
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
    ...authorization(token),
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

function openStream(
  address: string,
  path: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<AsyncIterable<string>> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...targetOf(address), path, headers: authorization(token), signal, agent: false });
    let waitMs = ANSWER_MS_MAX;
    const silent = (): void => void outgoing.destroy(new Error(`nothing came for ${waitMs / 1_000} s`));
    outgoing.setTimeout(waitMs, silent);
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      if (response.statusCode === 200) {
        waitMs = STREAM_SILENT_MS_MAX;
        outgoing.setTimeout(waitMs);
        resolve(response.setEncoding("utf8") as AsyncIterable<string>);
      } else {
        readBody(response).then((text) => reject(new Error(`${response.statusCode} ${text.trim()}`)), reject);
      }
    });
    outgoing.end();
  });
}

function authorization(token: string | undefined): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
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

import { type ClientRequest, type IncomingMessage, request as plainRequest, type RequestOptions } from "node:http";
import type { StatusRange } from "@smartstack/core";
import { formatAddress } from "../addresses.ts";
import { attempt } from "./attempt.ts";
import type { CheckKind, ProbeRequest, ProbeResult } from "./check.ts";
import { type HttpOptions, httpKeys } from "./http-keys.ts";
import { lookupOf } from "./lookup.ts";
import { OUTPUT_CHARS, printable } from "./printable.ts";
import { tlsTrust } from "./tls.ts";

/** A health page is small; what comes after this is not looked at. */
const BODY_BYTES_MAX = 64 * 1024;

/** Where nothing else is asked for, as in Airbnb's nerve. */
const FINE: StatusRange[] = [[200, 399]];

/**
 * One request: passes with a status that is asked for (200 to 399) and, where that is asked for, a body that contains
 * `expect`. Redirects are not followed. A `host` among the headers is also the name that TLS asks for.
 */
export const http: CheckKind<HttpOptions> = {
  active: true,
  inConfig: true,
  keys: httpKeys,
  problem: ({ method, expect = "" }) =>
    method === "HEAD" && expect !== "" ? "expect: an answer to HEAD has no body; ask with GET" : undefined,
  detail: pathOf,
  plainHttp: (options) => !overTls(options),
  timeoutMs: (options, timeoutMs) =>
    // The originals' times follow one another: here the whole probe has their sum as its one limit.
    (options.read_timeout ?? timeoutMs) + (options.open_timeout ?? 0) + (options.ssl_timeout ?? 0),
  probe: (request) => ask(request, overTls(request.options)),
};

/** The same over TLS. */
export const https: CheckKind<HttpOptions> = {
  ...http,
  plainHttp: () => false,
  probe: (request) => ask(request, true),
};

function overTls({ tls, ssl }: HttpOptions): boolean {
  return tls ?? ssl ?? false;
}

function pathOf({ path, uri }: HttpOptions): string {
  return path ?? uri ?? "/";
}

function ask(request: ProbeRequest<HttpOptions>, secure: boolean): Promise<ProbeResult> {
  const { host, port, options } = request;
  return attempt(request, async ({ defer, late }) => {
    const target = {
      host,
      port,
      method: options.method,
      path: pathOf(options),
      agent: false as const,
      lookup: lookupOf(request),
      setHost: false,
      headers: headersOf(formatAddress(host, port), options.headers),
    };
    const outgoing = secure ? await tlsRequest(target, options) : plainRequest(target);
    defer(() => outgoing.destroy());
    const response = await responseTo(outgoing);
    return judge(response, options, late);
  });
}

async function tlsRequest(target: RequestOptions, options: HttpOptions): Promise<ClientRequest> {
  // Megabytes of Node that most processes never need.
  const { request } = await import("node:https");
  return request({ ...target, ...(await tlsTrust(options)) });
}

/** Ours, unless the configuration has others; names in lower case, so that none goes out twice. */
function headersOf(address: string, configured: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = { host: address, connection: "close", "user-agent": "smartstack-nerve" };
  for (const [name, value] of Object.entries(configured)) headers[name.toLowerCase()] = value;
  return headers;
}

function responseTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
    outgoing.on("close", () => reject(new Error("it closed the connection without an answer")));
    outgoing.end();
  });
}

async function judge(
  response: IncomingMessage,
  { status: wanted = FINE, expect = "" }: HttpOptions,
  late: (reason: string) => void,
): Promise<ProbeResult> {
  const status = response.statusCode ?? 0;
  const fine = wanted.some(([from, to]) => status >= from && status <= to);
  const reason = `status ${status}`;
  // Whatever becomes of the body, this is known now.
  late(fine ? `${reason}, but its body did not come in time` : reason);
  if (!fine) return { passed: false, reason, ...outputOf((await bodyOf(response, OUTPUT_CHARS)).text) };
  if (expect === "") return { passed: true, reason };
  const { text, broken } = await bodyOf(response, BODY_BYTES_MAX, expect);
  const found = text.includes(expect);
  if (!found && broken !== undefined) throw new Error("the answer broke off", { cause: broken });
  return {
    passed: found,
    reason: `${reason}, body ${found ? "contains" : "lacks"} ${JSON.stringify(expect)}`,
    ...(found ? {} : outputOf(text)),
  };
}

interface Body {
  readonly text: Buffer;
  readonly broken?: unknown;
}

/** The beginning of the body: all of it, `bytesMax`, up to where `until` is found, or up to where it broke. */
async function bodyOf(response: IncomingMessage, bytesMax: number, until?: string): Promise<Body> {
  let text: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      text = Buffer.concat([text, chunk]);
      if (text.length >= bytesMax || (until !== undefined && text.includes(until))) break;
    }
    return { text };
  } catch (broken) {
    return { text, broken };
  }
}

function outputOf(body: Buffer): Pick<ProbeResult, "output"> {
  const output = printable(body, OUTPUT_CHARS);
  return output === "" ? {} : { output };
}

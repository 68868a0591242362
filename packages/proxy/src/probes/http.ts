import { type IncomingMessage, request } from "node:http";
import { hostHeader } from "../backend.ts";
import { failureReason } from "../dial.ts";
import type { CheckSpec } from "../snapshot.ts";
import { type ProbeKind, type Probing, probeSocket } from "./kind.ts";

/** A health page is small; what comes after this is not looked at. */
const BODY_BYTES_MAX = 64 * 1024;
/** As HAProxy's: redirects pass, and are not followed. */
const FINE = [[200, 399]] as const;

/** One request: passes with a status that is asked for and, where that is asked for, a body that contains `expect`. */
export const http: ProbeKind = (probing) => {
  const { backend, check, finish, failed, onEnd } = probing;
  const outgoing = request({
    method: check.method ?? "GET",
    path: check.path ?? "/",
    setHost: false,
    headers: headersOf(hostHeader(backend), check.headers ?? {}),
    createConnection: () => probeSocket(probing),
  });
  onEnd(() => outgoing.destroy());
  outgoing.on("response", (response) => judge(response, probing));
  outgoing.on("error", failed);
  outgoing.on("close", () => finish(false, "closed without an answer"));
  outgoing.end();
};

/** Ours, unless the configuration has others; names in lower case, so that none goes out twice. */
function headersOf(host: string, configured: NonNullable<CheckSpec["headers"]>): Record<string, string> {
  const own = { host, "user-agent": "smartstack-check", connection: "close" };
  const named = Object.entries(configured).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...own, ...Object.fromEntries(named) };
}

function judge(response: IncomingMessage, { check, finish }: Probing): void {
  const status = response.statusCode ?? 0;
  const { expect } = check;
  const fine = (check.status ?? FINE).some(([from, to]) => status >= from && status <= to);
  if (fine && expect !== undefined) lookFor(expect, response, `status ${status}`, finish);
  else finish(fine, `status ${status}`);
}

function lookFor(expect: string, response: IncomingMessage, answer: string, finish: Probing["finish"]): void {
  const lacking = `${answer}, body lacks ${JSON.stringify(expect)}`;
  const pieces: Buffer[] = [];
  let length = 0;
  response.on("data", (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (Buffer.concat(pieces).includes(expect)) finish(true, "body as expected");
    else if (length > BODY_BYTES_MAX) finish(false, lacking);
  });
  response.on("end", () => finish(false, lacking));
  response.on("error", (error) => finish(false, failureReason(error)));
}

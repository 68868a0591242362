import { createHash, timingSafeEqual } from "node:crypto";

/** How a request came in, as far as its rights depend on it. */
export interface Caller {
  /** The unix socket's file mode has decided already who may come this way. */
  readonly viaUnixSocket: boolean;
  /** The address the client connected to. */
  readonly localAddress: string | undefined;
  readonly host: string | undefined;
  readonly authorization: string | undefined;
}

const LOOPBACK_NAMES = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Why the Host header is refused, or undefined. A page in a browser can have its own name resolve to 127.0.0.1, but it
 * cannot change the name in the Host header (DNS rebinding); addresses cannot be rebound.
 */
export function hostProblem(caller: Caller, listenHost: string | undefined): string | undefined {
  if (caller.viaUnixSocket) return undefined;
  const name = caller.host?.replace(/:\d*$/, "").toLowerCase() ?? "";
  const local = caller.localAddress?.replace(/^::ffff:/, "");
  const addresses = [local, listenHost].flatMap((host) => (host === undefined ? [] : [bracketed(host)]));
  if (LOOPBACK_NAMES.has(name) || addresses.includes(name)) return undefined;
  return `Host ${JSON.stringify(caller.host ?? "")} is not this API's address: use ${addresses[0] ?? "localhost"}`;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly reason: string;
}

/** Why this caller may not change anything, or undefined. */
export function changeRefusal(caller: Caller, token: string | undefined): Refusal | undefined {
  if (caller.viaUnixSocket) return undefined;
  if (token === undefined || token === "")
    return { status: 403, reason: "changes are off: set admin.token or use a unix socket" };
  const given = /^Bearer +(\S+)$/i.exec(caller.authorization ?? "")?.[1];
  if (given === undefined)
    return { status: 401, reason: "changes need the header Authorization: Bearer <admin.token>" };
  return sameSecret(given, token) ? undefined : { status: 403, reason: "the token is wrong" };
}

/** In time that depends on neither value: equal-length digests are compared. */
function sameSecret(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

import * as h from "./head.ts";
import { isNamedByConnection } from "./meaning.ts";
import { pathStart } from "./parse-request.ts";
import { equalsWord, SLASH } from "./tables.ts";

const CRLF = "\r\n";
const VERSION = "HTTP/1.1";
/** Room for the lines we add beside names and addresses, whose lengths are counted. */
const FIXED_LINES_BYTES = 256;

/** What a request head gets on its way to the backend. */
export interface RequestEdits {
  /** Replaces the client's Host; absent = the client's is kept. */
  readonly host: string | undefined;
  /** Stands in for a Host that an HTTP/1.0 client did not send: the backend's address. */
  readonly fallbackHost: string;
  /** For X-Forwarded-For; absent for clients without an address (unix sockets). */
  readonly clientAddress: string | undefined;
}

/** What a response head gets on its way to the client. */
export interface ResponseEdits {
  /** The Connection header we answer with, if any. */
  readonly connection: "close" | "keep-alive" | "upgrade" | undefined;
  /** The body is sent decoded, up to the connection's end. */
  readonly dechunk: boolean;
}

// One head is built at a time, in one piece of memory that is handed over when it is done.
let out: Buffer = Buffer.alloc(0);
let length = 0;

/**
 * The head to send to a backend: the client's lines byte for byte, without the hop-by-hop ones and those that
 * Connection names, and with ours added after that, so that no client can have ours removed (GHSA-gwhp-pf74-vj37).
 */
export function forwardRequest(bytes: Buffer, head: h.Head, edits: RequestEdits): Buffer {
  const host = edits.host ?? (head.hosts === 0 ? edits.fallbackHost : undefined);
  out = Buffer.allocUnsafe(
    head.end - head.start + FIXED_LINES_BYTES + (host?.length ?? 0) * 3 + (edits.clientAddress?.length ?? 0),
  );
  length = 0;
  const path = pathStart(bytes, head);
  let run = head.start;
  if (head.minor !== 1 || path !== head.targetStart) {
    copy(bytes, head.start, head.targetStart);
    if (path === head.targetEnd) text(head.method === h.OPTIONS ? "*" : "/");
    else if (bytes[path] !== SLASH && path !== head.targetStart) text("/");
    copy(bytes, path, head.targetEnd);
    text(` ${VERSION}${CRLF}`);
    run = head.linesStart;
  }
  let forwardedFor = false;
  let forwardedProto = false;
  for (let line = 0; line < head.count; line++) {
    const kind = head.kinds[line] as number;
    if (kind === h.X_FORWARDED_FOR) forwardedFor = true;
    else if (kind === h.X_FORWARDED_PROTO) forwardedProto = true;
    if (!dropsFromRequest(bytes, head, line, kind, host !== undefined)) continue;
    copy(bytes, run, h.nameStart(head, line));
    run = h.lineEnd(head, line);
  }
  copy(bytes, run, head.end - 2);
  if (host !== undefined) text(`Host: ${host}${CRLF}`);
  if (head.upgrade) text(`Connection: Upgrade${CRLF}`);
  if (edits.clientAddress !== undefined || forwardedFor) addForwardedFor(bytes, head, edits.clientAddress);
  if (!forwardedProto) text(`X-Forwarded-Proto: http${CRLF}`);
  text(CRLF);
  return taken();
}

function dropsFromRequest(bytes: Buffer, head: h.Head, line: number, kind: number, newHost: boolean): boolean {
  switch (kind) {
    case h.OTHER:
      return head.namesHeaders && isNamedByConnection(bytes, head, line) && !isProtected(bytes, head, line);
    case h.CONNECTION:
    case h.KEEP_ALIVE:
    case h.PROXY_CONNECTION:
    case h.HTTP2_SETTINGS:
    case h.X_FORWARDED_FOR:
      return true;
    case h.UPGRADE:
      return !head.upgrade;
    case h.TE:
      return !equalsWord(bytes, h.valueStart(head, line), h.valueEnd(head, line), "trailers");
    case h.EXPECT:
      return !head.expectsContinue;
    case h.HOST_HEADER:
      return newHost;
    default:
      return false;
  }
}

// Every X-Forwarded-For the client sent, then its own address: one line, in the order of the hops.
function addForwardedFor(bytes: Buffer, head: h.Head, clientAddress: string | undefined): void {
  text("X-Forwarded-For: ");
  let first = true;
  for (let line = 0; line < head.count; line++) {
    if (head.kinds[line] !== h.X_FORWARDED_FOR || h.valueStart(head, line) === h.valueEnd(head, line)) continue;
    if (!first) text(", ");
    copy(bytes, h.valueStart(head, line), h.valueEnd(head, line));
    first = false;
  }
  if (clientAddress !== undefined) text(first ? clientAddress : `, ${clientAddress}`);
  text(CRLF);
}

/** The head to send to a client: hop-by-hop headers out, ours in, in the proxy's own HTTP version. */
export function forwardResponse(bytes: Buffer, head: h.Head, edits: ResponseEdits): Buffer {
  out = Buffer.allocUnsafe(head.end - head.start + FIXED_LINES_BYTES);
  length = 0;
  let run = head.start;
  if (head.minor !== 1) {
    text(`${VERSION} `);
    run = head.statusStart;
  }
  for (let line = 0; line < head.count; line++) {
    if (!dropsFromResponse(bytes, head, line, edits)) continue;
    copy(bytes, run, h.nameStart(head, line));
    run = h.lineEnd(head, line);
  }
  copy(bytes, run, head.end - 2);
  if (edits.connection !== undefined) text(`Connection: ${edits.connection}${CRLF}`);
  text(CRLF);
  return taken();
}

function dropsFromResponse(bytes: Buffer, head: h.Head, line: number, edits: ResponseEdits): boolean {
  switch (head.kinds[line]) {
    case h.OTHER:
      return head.namesHeaders && isNamedByConnection(bytes, head, line) && !isProtected(bytes, head, line);
    case h.CONNECTION:
    case h.KEEP_ALIVE:
    case h.PROXY_CONNECTION:
      return true;
    case h.UPGRADE:
      return edits.connection !== "upgrade";
    case h.TRANSFER_ENCODING:
      return edits.dechunk;
    case h.CONTENT_LENGTH:
      // RFC 9110 §8.6: neither may carry one, and a client that believed it would wait for a body.
      return head.status < 200 || head.status === 204;
    default:
      return false;
  }
}

// Headers that carry identity or route: Connection must not be a way to take them off a request.
function isProtected(bytes: Buffer, head: h.Head, line: number): boolean {
  const start = h.nameStart(head, line);
  const end = h.nameEnd(head, line);
  return (
    equalsWord(bytes, start, Math.min(end, start + 12), "x-forwarded-") ||
    equalsWord(bytes, start, end, "forwarded") ||
    equalsWord(bytes, start, end, "cookie") ||
    equalsWord(bytes, start, end, "set-cookie")
  );
}

function copy(bytes: Buffer, from: number, to: number): void {
  if (from < to) length += bytes.copy(out, length, from, to);
}

function text(chars: string): void {
  length += out.write(chars, length, "latin1");
}

function taken(): Buffer {
  const built = out.subarray(0, length);
  out = Buffer.alloc(0);
  return built;
}

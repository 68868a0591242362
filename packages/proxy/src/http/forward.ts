import { beginPut, finishPut, put, putText, type Receiver } from "../stage.ts";
import * as h from "./head.ts";
import { isNamedByConnection } from "./meaning.ts";
import { type Origin, originBytes, putOrigin, replacesLine } from "./origin.ts";
import { AUTHORITY_OFFSET, pathStart } from "./parse-request.ts";
import { equalsWord, SLASH } from "./tables.ts";

const CRLF = "\r\n";
const CRLF_BYTES = Buffer.from(CRLF);
const VERSION = "HTTP/1.1";
/** Room for the lines we add beside names and addresses, whose lengths are counted. */
const FIXED_LINES_BYTES = 256;

/** What a request head gets on its way to the backend. */
export interface RequestEdits {
  /** Replaces the client's Host; absent = the client's is kept. */
  readonly host: string | undefined;
  /** Stands in for a Host that an HTTP/1.0 client did not send: the backend's address. */
  readonly fallbackHost: string;
  readonly origin: Origin;
}

/** What a response head gets on its way to the client. */
export interface ResponseEdits {
  /** The Connection header we answer with, if any. */
  readonly connection: "close" | "keep-alive" | "upgrade" | undefined;
  /** The body is sent decoded, up to the connection's end. */
  readonly dechunk: boolean;
}

/**
 * Writes the head to send to a backend: the client's lines byte for byte, without the hop-by-hop ones and those that
 * Connection names, and with ours added after that, so that no client can have ours removed (GHSA-gwhp-pf74-vj37).
 * Returns its length.
 */
export function forwardRequest(bytes: Buffer, head: h.Head, edits: RequestEdits, to: Receiver): number {
  const path = pathStart(bytes, head);
  const host = edits.host ?? (head.hosts === 0 ? missingHost(bytes, head, path, edits) : undefined);
  beginPut(to, head.end - head.start + FIXED_LINES_BYTES + (host?.length ?? 0) + originBytes(edits.origin));
  let run = head.start;
  if (head.minor !== 1 || path !== head.targetStart) {
    put(bytes, head.start, head.targetStart);
    if (path === head.targetEnd) putText(head.method === h.OPTIONS ? "*" : "/");
    else if (bytes[path] !== SLASH && path !== head.targetStart) putText("/");
    put(bytes, path, head.targetEnd);
    putText(` ${VERSION}${CRLF}`);
    run = head.linesStart;
  }
  // Lines of no known kind go only by what Connection or an untrusted client's word makes of them.
  const all = head.namesHeaders || !edits.origin.trusted;
  const lines = all ? head.count : head.knownCount;
  for (let each = 0; each < lines; each++) {
    const line = all ? each : (head.known[each] as number);
    const kind = head.kinds[line] as number;
    if (
      !dropsFromRequest(bytes, head, line, kind, host !== undefined) &&
      !replacesLine(bytes, head, line, kind, edits.origin)
    )
      continue;
    put(bytes, run, h.nameStart(head, line));
    run = h.lineEnd(head, line);
  }
  put(bytes, run, head.end - 2);
  if (host !== undefined) putText(`Host: ${host}${CRLF}`);
  if (head.upgrade) putText(`Connection: Upgrade${CRLF}`);
  putOrigin(bytes, head, edits.origin);
  putAll(CRLF_BYTES);
  return finishPut();
}

// An HTTP/1.0 client may leave Host out; what it names in an absolute target is its Host then (RFC 9112 §3.2.2).
function missingHost(bytes: Buffer, head: h.Head, path: number, edits: RequestEdits): string {
  if (path === head.targetStart) return edits.fallbackHost;
  return bytes.toString("latin1", head.targetStart + AUTHORITY_OFFSET, path);
}

function dropsFromRequest(bytes: Buffer, head: h.Head, line: number, kind: number, newHost: boolean): boolean {
  switch (kind) {
    case h.OTHER:
      return head.namesHeaders && isNamedByConnection(bytes, head, line) && !isProtected(bytes, head, line);
    case h.CONNECTION:
    case h.KEEP_ALIVE:
    case h.PROXY_CONNECTION:
    case h.HTTP2_SETTINGS:
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

/** Writes the head to send to a client: hop-by-hop headers out, ours in, in the proxy's own HTTP version. */
export function forwardResponse(bytes: Buffer, head: h.Head, edits: ResponseEdits, to: Receiver): number {
  beginPut(to, head.end - head.start + FIXED_LINES_BYTES);
  let run = head.start;
  if (head.minor !== 1) {
    putText(`${VERSION} `);
    run = head.statusStart;
  }
  const lines = head.namesHeaders ? head.count : head.knownCount;
  for (let each = 0; each < lines; each++) {
    const line = head.namesHeaders ? each : (head.known[each] as number);
    if (!dropsFromResponse(bytes, head, line, edits)) continue;
    put(bytes, run, h.nameStart(head, line));
    run = h.lineEnd(head, line);
  }
  put(bytes, run, head.end - 2);
  if (edits.connection !== undefined) putText(`Connection: ${edits.connection}${CRLF}`);
  putAll(CRLF_BYTES);
  return finishPut();
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

function putAll(bytes: Uint8Array): void {
  put(bytes, 0, bytes.length);
}

import * as h from "./head.ts";
import { isHost, readMeaning } from "./meaning.ts";
import { COMPLETE, NEED_MORE, parseFields, refuse, type Verdict } from "./parse-fields.ts";
import { BYTE_CLASS, CR, equalsExact, equalsRange, equalsWord, LF, SLASH, SP, TARGET, TOKEN } from "./tables.ts";

/** Where an absolute-form target names its host. */
export const AUTHORITY_OFFSET = "http://".length;
const VERSION_LENGTH = "HTTP/1.1".length;

/** Behind the one empty line that old clients put before a request (RFC 9112 §2.2); undefined while that may be all. */
export function requestStart(bytes: Uint8Array): number | undefined {
  if (bytes[0] !== CR) return bytes.length === 0 ? undefined : 0;
  if (bytes[1] === LF) return bytes.length === 2 ? undefined : 2;
  return bytes.length === 1 ? undefined : 0;
}

/**
 * Reads one request head that begins at `start`. The same bytes give the same answer however they were cut: on
 * `NEED_MORE` call again with all of them and more. Any other number is the status to refuse the request with, after
 * which the connection must be closed: what follows cannot be told from a body.
 */
export function parseRequest(bytes: Uint8Array, start: number, head: h.Head): Verdict {
  const end = Math.min(bytes.length, start + h.HEAD_BYTES_MAX);
  head.start = start;
  head.status = 0;
  head.linesStart = -1;
  head.targetStart = -1;
  const verdict = parseAll(bytes, start, end, head);
  if (verdict !== NEED_MORE || bytes.length - start < h.HEAD_BYTES_MAX) return verdict;
  if (head.targetStart < 0) return refuse(head, 400, "no request line");
  if (head.linesStart < 0) return refuse(head, 414, "request target too long");
  return refuse(head, 431, `head above ${h.HEAD_BYTES_MAX} bytes`);
}

function parseAll(bytes: Uint8Array, start: number, end: number, head: h.Head): Verdict {
  const line = parseRequestLine(bytes, start, end, head);
  if (line !== COMPLETE) return line;
  const fields = parseFields(bytes, head.linesStart, end, head);
  if (fields !== COMPLETE) return fields;
  const meaning = readMeaning(bytes, head);
  if (meaning !== COMPLETE) return meaning;
  return judgeTarget(bytes, head);
}

function parseRequestLine(bytes: Uint8Array, start: number, end: number, head: h.Head): Verdict {
  let pos = start;
  while (pos < end && ((BYTE_CLASS[bytes[pos] as number] as number) & TOKEN) !== 0) pos++;
  if (pos >= end) return NEED_MORE;
  if (bytes[pos] !== SP || pos === start) return refuse(head, 400, "malformed method");
  head.methodEnd = pos;
  head.method = methodOf(bytes, start, pos);
  head.targetStart = ++pos;
  while (pos < end && ((BYTE_CLASS[bytes[pos] as number] as number) & TARGET) !== 0) pos++;
  if (pos >= end) return NEED_MORE;
  if (bytes[pos] !== SP || pos === head.targetStart) return refuse(head, 400, "malformed request target");
  head.targetEnd = pos;
  return parseVersion(bytes, pos + 1, end, head);
}

function parseVersion(bytes: Uint8Array, at: number, end: number, head: h.Head): Verdict {
  const have = Math.min(end - at, VERSION_LENGTH);
  // "HTTP/" DIGIT "." DIGIT (RFC 9112 §2.3), judged as far as it is here.
  for (let i = 0; i < have; i++) {
    const byte = bytes[at + i] as number;
    const fits = i === 5 || i === 7 ? byte >= 0x30 && byte <= 0x39 : byte === "HTTP/1.1".charCodeAt(i);
    if (!fits) return refuse(head, 400, "malformed HTTP version");
  }
  if (have > 5 && bytes[at + 5] !== 0x31) return refuse(head, 505, "HTTP version is not 1.0 or 1.1");
  if (have < VERSION_LENGTH) return NEED_MORE;
  const minor = (bytes[at + 7] as number) - 0x30;
  if (minor > 1) return refuse(head, 505, "HTTP version is not 1.0 or 1.1");
  head.minor = minor as 0 | 1;
  const cr = at + VERSION_LENGTH;
  if (cr >= end) return NEED_MORE;
  if (bytes[cr] !== CR) return refuse(head, 400, "malformed request line");
  if (cr + 1 >= end) return NEED_MORE;
  if (bytes[cr + 1] !== LF) return refuse(head, 400, "malformed request line");
  head.linesStart = cr + 2;
  return COMPLETE;
}

function methodOf(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 3:
      return equalsExact(bytes, start, end, "GET") ? h.GET : h.OTHER_METHOD;
    case 4:
      return equalsExact(bytes, start, end, "HEAD") ? h.HEAD : h.OTHER_METHOD;
    case 5:
      return equalsExact(bytes, start, end, "TRACE") ? h.TRACE : h.OTHER_METHOD;
    case 7:
      if (equalsExact(bytes, start, end, "OPTIONS")) return h.OPTIONS;
      return equalsExact(bytes, start, end, "CONNECT") ? h.CONNECT : h.OTHER_METHOD;
    default:
      return h.OTHER_METHOD;
  }
}

// RFC 9112 §3.2: the form of the target, and that it and Host do not contradict each other.
function judgeTarget(bytes: Uint8Array, head: h.Head): Verdict {
  if (head.method === h.CONNECT || head.method === h.TRACE)
    return refuse(head, 405, "CONNECT and TRACE are not proxied");
  if (head.hosts > 1) return refuse(head, 400, "more than one Host");
  if (head.hosts === 0 && head.minor === 1) return refuse(head, 400, "no Host");
  const { targetStart, targetEnd } = head;
  if (bytes[targetStart] === SLASH) return COMPLETE;
  if (equalsExact(bytes, targetStart, targetEnd, "*")) {
    return head.method === h.OPTIONS ? COMPLETE : refuse(head, 400, "target * without OPTIONS");
  }
  const authority = targetStart + AUTHORITY_OFFSET;
  if (!equalsWord(bytes, targetStart, Math.min(authority, targetEnd), "http://")) {
    return refuse(head, 400, "malformed request target");
  }
  const path = pathStart(bytes, head);
  if (path === authority) return refuse(head, 400, "target without a host");
  if (head.hosts === 0) {
    return isHost(bytes, authority, path) ? COMPLETE : refuse(head, 400, "malformed host in the target");
  }
  const hostStart = h.valueStart(head, head.hostLine);
  const hostEnd = h.valueEnd(head, head.hostLine);
  if (equalsRange(bytes, authority, path, hostStart, hostEnd)) return COMPLETE;
  return refuse(head, 400, "the target's host and Host differ");
}

/** Where the path begins in an absolute-form target; `targetEnd` when it has none. */
export function pathStart(bytes: Uint8Array, head: h.Head): number {
  if (bytes[head.targetStart] !== 0x68 && bytes[head.targetStart] !== 0x48) return head.targetStart;
  let pos = head.targetStart + AUTHORITY_OFFSET;
  while (pos < head.targetEnd && bytes[pos] !== SLASH && bytes[pos] !== 0x3f) pos++;
  return pos;
}

import * as h from "./head.ts";
import { COMPLETE, refuse, type Verdict } from "./parse-fields.ts";
import { BYTE_CLASS, CR, DIGIT, equalsRange, equalsWord, everyElement, HOST, SP, TOKEN } from "./tables.ts";

// 15 digits stay below 2^53, where every integer is exact; more is nobody's body.
const LENGTH_DIGITS_MAX = 15;

/** What was seen so far; one record, reused by every call, as a parse is never interrupted. */
interface Found {
  lengths: number;
  encodings: number;
  close: boolean;
  keepAlive: boolean;
  wantsUpgrade: boolean;
  upgrades: number;
  websocket: boolean;
}

const found: Found = {
  lengths: 0,
  encodings: 0,
  close: false,
  keepAlive: false,
  wantsUpgrade: false,
  upgrades: 0,
  websocket: false,
};

/**
 * Reads what the framing and connection headers of a parsed head mean together into `head`; for requests and responses.
 * `COMPLETE`, or the status to refuse a request with.
 */
export function readMeaning(bytes: Uint8Array, head: h.Head): Verdict {
  found.lengths = 0;
  found.encodings = 0;
  found.close = false;
  found.keepAlive = false;
  found.wantsUpgrade = false;
  found.upgrades = 0;
  found.websocket = false;
  head.hosts = 0;
  head.hostLine = -1;
  head.framing = h.NO_BODY;
  head.contentLength = 0;
  head.expectsContinue = false;
  head.namesHeaders = false;
  for (let each = 0; each < head.knownCount; each++) {
    const line = head.known[each] as number;
    const verdict = readLine(bytes, head, line, head.kinds[line] as number);
    if (verdict !== COMPLETE) return verdict;
  }
  if (found.encodings > 0) {
    if (found.lengths > 0) return refuse(head, 400, "both Content-Length and Transfer-Encoding");
    if (head.minor === 0) return refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
    head.framing = h.CHUNKED;
  } else if (found.lengths > 0) head.framing = h.BY_LENGTH;
  head.persistent = !found.close && (head.minor === 1 || found.keepAlive);
  head.upgrade = found.wantsUpgrade && found.websocket && head.minor === 1;
  return COMPLETE;
}

function readLine(bytes: Uint8Array, head: h.Head, line: number, kind: number): Verdict {
  const start = h.valueStart(head, line);
  const end = h.valueEnd(head, line);
  switch (kind) {
    case h.HOST_HEADER:
      head.hosts++;
      head.hostLine = line;
      return head.status !== 0 || isHost(bytes, start, end) ? COMPLETE : refuse(head, 400, "malformed Host");
    case h.CONTENT_LENGTH:
      if (++found.lengths > 1) return refuse(head, 400, "more than one Content-Length");
      return readLength(bytes, head, start, end);
    case h.TRANSFER_ENCODING:
      if (++found.encodings > 1) return refuse(head, 400, "more than one Transfer-Encoding");
      return readEncoding(bytes, head, start, end);
    case h.CONNECTION:
      // Alone, as it nearly always is, it is not looked at as a list.
      if (equalsWord(bytes, start, end, "keep-alive")) found.keepAlive = true;
      else if (equalsWord(bytes, start, end, "close")) found.close = true;
      else everyElement(bytes, start, end, (from, to) => readConnection(bytes, head, from, to));
      return COMPLETE;
    case h.UPGRADE:
      // Of several, one could be h2c, and the backend would choose.
      found.websocket = ++found.upgrades === 1 && equalsWord(bytes, start, end, "websocket");
      return COMPLETE;
    case h.EXPECT:
      if (head.status !== 0) return COMPLETE;
      if (!equalsWord(bytes, start, end, "100-continue")) return refuse(head, 417, "unknown Expect");
      head.expectsContinue = head.minor === 1;
      return COMPLETE;
    default:
      return COMPLETE;
  }
}

// Canonical digits only: "+5", "0x5", "5, 5" and "010" are read differently by different servers.
function readLength(bytes: Uint8Array, head: h.Head, start: number, end: number): Verdict {
  const digits = end - start;
  if (digits === 0 || digits > LENGTH_DIGITS_MAX || !isFollowedBySpaces(bytes, end))
    return refuse(head, 400, "malformed Content-Length");
  if (digits > 1 && bytes[start] === 0x30) return refuse(head, 400, "Content-Length with leading zeros");
  let length = 0;
  for (let pos = start; pos < end; pos++) {
    const byte = bytes[pos] as number;
    if (((BYTE_CLASS[byte] as number) & DIGIT) === 0) return refuse(head, 400, "malformed Content-Length");
    length = length * 10 + (byte - 0x30);
  }
  head.contentLength = length;
  return COMPLETE;
}

// A tab may stand there by RFC 9110 §5.6.3, but llhttp takes it for a part of the value.
function isFollowedBySpaces(bytes: Uint8Array, end: number): boolean {
  let pos = end;
  while (bytes[pos] === SP) pos++;
  return bytes[pos] === CR;
}

function readEncoding(bytes: Uint8Array, head: h.Head, start: number, end: number): Verdict {
  if (!isFollowedBySpaces(bytes, end)) return refuse(head, 400, "malformed Transfer-Encoding");
  if (equalsWord(bytes, start, end, "chunked")) return COMPLETE;
  let chunkedSeen = false;
  const wellFormed = everyElement(bytes, start, end, (from, to) => {
    if (from === to || chunkedSeen) return false;
    for (let pos = from; pos < to; pos++)
      if (((BYTE_CLASS[bytes[pos] as number] as number) & TOKEN) === 0) return false;
    chunkedSeen = equalsWord(bytes, from, to, "chunked");
    return true;
  });
  return wellFormed
    ? refuse(head, 501, "a Transfer-Encoding other than chunked")
    : refuse(head, 400, "malformed Transfer-Encoding");
}

function readConnection(bytes: Uint8Array, head: h.Head, start: number, end: number): boolean {
  if (equalsWord(bytes, start, end, "close")) found.close = true;
  else if (equalsWord(bytes, start, end, "keep-alive")) found.keepAlive = true;
  else if (equalsWord(bytes, start, end, "upgrade")) found.wantsUpgrade = true;
  else if (start < end) head.namesHeaders = true;
  return true;
}

/** May these bytes stand in Host? */
export function isHost(bytes: Uint8Array, start: number, end: number): boolean {
  for (let pos = start; pos < end; pos++) if (((BYTE_CLASS[bytes[pos] as number] as number) & HOST) === 0) return false;
  return true;
}

/** Does any Connection line of `head` name the header at `line`? Only called when there are such names at all. */
export function isNamedByConnection(bytes: Uint8Array, head: h.Head, line: number): boolean {
  const start = h.nameStart(head, line);
  const end = h.nameEnd(head, line);
  for (let other = 0; other < head.count; other++) {
    if (head.kinds[other] !== h.CONNECTION) continue;
    const unnamed = everyElement(
      bytes,
      h.valueStart(head, other),
      h.valueEnd(head, other),
      (from, to) => !equalsRange(bytes, start, end, from, to),
    );
    if (!unnamed) return true;
  }
  return false;
}

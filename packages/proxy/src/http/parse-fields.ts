import * as h from "./head.ts";
import { scanOf, scanValue } from "./scan-value.ts";
import { BYTE_CLASS, COLON, CR, equalsWord, LF, SP, TAB, TOKEN } from "./tables.ts";

/** What a parse says: more bytes are needed, the head is complete, or the HTTP status to refuse it with. */
export const NEED_MORE = 0;
export const COMPLETE = 1;
export type Verdict = number;

export function refuse(head: h.Head, status: number, problem: string): Verdict {
  head.problem = problem;
  return status;
}

/**
 * Header lines from `at` to the blank line. Strict where lenience is how requests are smuggled: names are tokens, no
 * blank before the colon, no folding, no bare CR or LF, no control bytes (RFC 9112 §5, §2.2).
 */
export function parseFields(bytes: Uint8Array, at: number, end: number, head: h.Head): Verdict {
  const { offsets, kinds } = head;
  const scan = scanOf(bytes);
  head.count = 0;
  let pos = at;
  for (;;) {
    if (pos >= end) return NEED_MORE;
    if (bytes[pos] === CR) {
      if (pos + 1 >= end) return NEED_MORE;
      if (bytes[pos + 1] !== LF) return refuse(head, 400, "CR without LF");
      head.end = pos + 2;
      return COMPLETE;
    }
    if (head.count === h.HEADERS_MAX) return refuse(head, 431, `more than ${h.HEADERS_MAX} header lines`);
    const name = pos;
    while (pos < end && ((BYTE_CLASS[bytes[pos] as number] as number) & TOKEN) !== 0) pos++;
    if (pos >= end) return NEED_MORE;
    if (bytes[pos] !== COLON || pos === name) return refuse(head, 400, "malformed header name");
    const nameEnd = pos++;
    while (pos < end && (bytes[pos] === SP || bytes[pos] === TAB)) pos++;
    const value = pos;
    pos = scanValue(scan, pos, end);
    if (pos >= end) return NEED_MORE;
    if (bytes[pos] !== CR) return refuse(head, 400, "control byte in a header value");
    if (pos + 1 >= end) return NEED_MORE;
    if (bytes[pos + 1] !== LF) return refuse(head, 400, "CR without LF");
    let valueEnd = pos;
    while (valueEnd > value && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === TAB)) valueEnd--;
    const slot = head.count * 4;
    offsets[slot] = name;
    offsets[slot + 1] = nameEnd;
    offsets[slot + 2] = value;
    offsets[slot + 3] = valueEnd;
    kinds[head.count++] = kindOf(bytes, name, nameEnd);
    pos += 2;
  }
}

// By length first: most headers are told apart without reading a byte of them.
function kindOf(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 2:
      return equalsWord(bytes, start, end, "te") ? h.TE : h.OTHER;
    case 4:
      return equalsWord(bytes, start, end, "host") ? h.HOST_HEADER : h.OTHER;
    case 6:
      return equalsWord(bytes, start, end, "expect") ? h.EXPECT : h.OTHER;
    case 7:
      return equalsWord(bytes, start, end, "upgrade") ? h.UPGRADE : h.OTHER;
    case 10:
      if (equalsWord(bytes, start, end, "connection")) return h.CONNECTION;
      return equalsWord(bytes, start, end, "keep-alive") ? h.KEEP_ALIVE : h.OTHER;
    case 14:
      if (equalsWord(bytes, start, end, "content-length")) return h.CONTENT_LENGTH;
      return equalsWord(bytes, start, end, "http2-settings") ? h.HTTP2_SETTINGS : h.OTHER;
    case 15:
      return equalsWord(bytes, start, end, "x-forwarded-for") ? h.X_FORWARDED_FOR : h.OTHER;
    case 16:
      return equalsWord(bytes, start, end, "proxy-connection") ? h.PROXY_CONNECTION : h.OTHER;
    case 17:
      if (equalsWord(bytes, start, end, "transfer-encoding")) return h.TRANSFER_ENCODING;
      return equalsWord(bytes, start, end, "x-forwarded-proto") ? h.X_FORWARDED_PROTO : h.OTHER;
    default:
      return h.OTHER;
  }
}

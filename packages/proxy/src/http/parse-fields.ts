import { placeOf } from "../memory.ts";
import * as h from "./head.ts";
import { scanToken, scanValue } from "./scan-value.ts";
import { COLON, CR, equalsWord, LF, SP, TAB } from "./tables.ts";

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
  const { offsets, kinds, known } = head;
  const { words, offset } = placeOf(bytes);
  let count = 0;
  let knownCount = 0;
  let pos = at;
  for (;;) {
    if (pos >= end) return NEED_MORE;
    if (bytes[pos] === CR) {
      if (pos + 1 >= end) return NEED_MORE;
      if (bytes[pos + 1] !== LF) return refuse(head, 400, "CR without LF");
      head.end = pos + 2;
      head.count = count;
      head.knownCount = knownCount;
      return COMPLETE;
    }
    if (count === h.HEADERS_MAX) return refuse(head, 431, `more than ${h.HEADERS_MAX} header lines`);
    const name = pos;
    pos = scanToken(bytes, words, offset, pos, end);
    if (pos >= end) return NEED_MORE;
    if (bytes[pos] !== COLON || pos === name) return refuse(head, 400, "malformed header name");
    const nameEnd = pos++;
    while (pos < end && (bytes[pos] === SP || bytes[pos] === TAB)) pos++;
    const value = pos;
    pos = scanValue(bytes, words, offset, pos, end);
    if (pos >= end) return NEED_MORE;
    if (bytes[pos] !== CR) return refuse(head, 400, "control byte in a header value");
    if (pos + 1 >= end) return NEED_MORE;
    if (bytes[pos + 1] !== LF) return refuse(head, 400, "CR without LF");
    let valueEnd = pos;
    while (valueEnd > value && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === TAB)) valueEnd--;
    const slot = count * 4;
    offsets[slot] = name;
    offsets[slot + 1] = nameEnd;
    offsets[slot + 2] = value;
    offsets[slot + 3] = valueEnd;
    const kind = kindOf(bytes, name, nameEnd);
    if (kind !== h.OTHER) known[knownCount++] = count;
    kinds[count++] = kind;
    pos += 2;
  }
}

/** By the length and first letter of a name, the only kind it can be: most are told apart by that. */
const KINDS_BY_SHAPE = new Uint8Array(1_024);
const NAMES: string[] = [];
for (const [name, kind] of h.KNOWN_NAMES) {
  KINDS_BY_SHAPE[shapeOf(name.length, name.charCodeAt(0))] = kind;
  NAMES[kind] = name;
}

function shapeOf(length: number, firstByte: number): number {
  return (length << 5) | (firstByte & 31);
}

function kindOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start >= 32) return h.OTHER;
  const kind = KINDS_BY_SHAPE[shapeOf(end - start, bytes[start] as number)] as number;
  return kind !== h.OTHER && equalsWord(bytes, start, end, NAMES[kind] as string) ? kind : h.OTHER;
}

import * as h from "./head.ts";
import { readMeaning } from "./meaning.ts";
import { COMPLETE, NEED_MORE, parseFields, refuse, type Verdict } from "./parse-fields.ts";
import { BYTE_CLASS, CR, equalsExact, FIELD_VALUE, LF, SP } from "./tables.ts";

/**
 * Reads one response head that begins at `start`, as strictly as a request's: `NEED_MORE`, `COMPLETE`, or 502 with the
 * reason in `head.problem`. How the body ends depends on the request too (RFC 9112 §6.3), hence `toHead`.
 */
export function parseResponse(bytes: Uint8Array, start: number, head: h.Head, toHead: boolean): Verdict {
  const end = Math.min(bytes.length, start + h.HEAD_BYTES_MAX);
  head.start = start;
  const verdict = parseAll(bytes, start, end, head, toHead);
  if (verdict === COMPLETE) return COMPLETE;
  if (verdict !== NEED_MORE) return 502;
  if (bytes.length - start < h.HEAD_BYTES_MAX) return NEED_MORE;
  return refuse(head, 502, `response head above ${h.HEAD_BYTES_MAX} bytes`);
}

function parseAll(bytes: Uint8Array, start: number, end: number, head: h.Head, toHead: boolean): Verdict {
  const line = parseStatusLine(bytes, start, end, head);
  if (line !== COMPLETE) return line;
  const fields = parseFields(bytes, head.linesStart, end, head);
  if (fields !== COMPLETE) return fields;
  const meaning = readMeaning(bytes, head);
  if (meaning !== COMPLETE) return meaning;
  if (head.status < 200 || head.status === 204) {
    if (head.framing === h.CHUNKED) return refuse(head, 502, `Transfer-Encoding in a ${head.status} response`);
    head.framing = h.NO_BODY;
  } else if (toHead || head.status === 304) head.framing = h.NO_BODY;
  else if (head.framing === h.NO_BODY) head.framing = h.UNTIL_CLOSE;
  return COMPLETE;
}

function parseStatusLine(bytes: Uint8Array, start: number, end: number, head: h.Head): Verdict {
  // "HTTP/1.x 200 ": what every answer must begin with, judged before more is waited for.
  const have = Math.min(end - start, 8);
  if (!equalsExact(bytes, start, start + Math.min(have, 7), "HTTP/1.".slice(0, Math.min(have, 7)))) {
    return refuse(head, 502, "the backend does not speak HTTP/1");
  }
  if (end - start < 13) return NEED_MORE;
  const minor = (bytes[start + 7] as number) - 0x30;
  if ((minor !== 0 && minor !== 1) || bytes[start + 8] !== SP) return refuse(head, 502, "malformed status line");
  head.minor = minor;
  let status = 0;
  for (let pos = start + 9; pos < start + 12; pos++) {
    const digit = (bytes[pos] as number) - 0x30;
    if (digit < 0 || digit > 9) return refuse(head, 502, "malformed status");
    status = status * 10 + digit;
  }
  if (status < 100 || status > 599) return refuse(head, 502, `status ${status}`);
  head.status = status;
  head.statusStart = start + 9;
  let pos = start + 12;
  // The blank before an empty reason phrase is left out by some servers.
  if (bytes[pos] !== SP && bytes[pos] !== CR) return refuse(head, 502, "malformed status line");
  while (pos < end && ((BYTE_CLASS[bytes[pos] as number] as number) & FIELD_VALUE) !== 0) pos++;
  if (pos >= end || (bytes[pos] === CR && pos + 1 >= end)) return NEED_MORE;
  if (bytes[pos] !== CR || bytes[pos + 1] !== LF) return refuse(head, 502, "malformed status line");
  head.linesStart = pos + 2;
  return COMPLETE;
}

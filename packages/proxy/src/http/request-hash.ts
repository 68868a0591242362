import { NO_HASH } from "../balance/balance.ts";
import { hashBytes } from "../balance/hash.ts";
import { DEFAULT_HASH, type ServiceSpec } from "../snapshot.ts";
import type { Head } from "./head.ts";
import * as h from "./head.ts";
import { COMMA, equalsExact, equalsWord, SEMICOLON, SP, TAB } from "./tables.ts";

const QUESTION_MARK = 0x3f;
const EQUALS = 0x3d;

/**
 * What the request is balanced by, hashed: by `uri` its target up to the query, as HAProxy does; by `header` the first
 * element of the first line of that name; by `cookie` that cookie's value. NO_HASH when it has none.
 */
export function requestHash({ balance, hash = DEFAULT_HASH }: ServiceSpec, bytes: Uint8Array, head: Head): number {
  switch (balance) {
    case "uri":
      return hashBytes(bytes, head.targetStart, hash.whole ? head.targetEnd : queryStart(bytes, head));
    case "header":
      return headerHash(bytes, head, hash.name);
    case "cookie":
      return cookieHash(bytes, head, hash.name);
    default:
      return NO_HASH;
  }
}

function queryStart(bytes: Uint8Array, head: Head): number {
  let at = head.targetStart;
  while (at < head.targetEnd && bytes[at] !== QUESTION_MARK) at++;
  return at;
}

function headerHash(bytes: Uint8Array, head: Head, name: string): number {
  for (let line = 0; line < head.count; line++) {
    if (!equalsWord(bytes, h.nameStart(head, line), h.nameEnd(head, line), name)) continue;
    const start = h.valueStart(head, line);
    let end = start;
    while (end < h.valueEnd(head, line) && bytes[end] !== COMMA) end++;
    return hashTrimmed(bytes, start, end);
  }
  return NO_HASH;
}

// RFC 6265 §4.2.1: name=value pairs between semicolons. Several lines are one list.
function cookieHash(bytes: Uint8Array, head: Head, name: string): number {
  for (let line = 0; line < head.count; line++) {
    if (!equalsWord(bytes, h.nameStart(head, line), h.nameEnd(head, line), "cookie")) continue;
    const lineEnd = h.valueEnd(head, line);
    for (let at = h.valueStart(head, line); at < lineEnd; at++) {
      while (at < lineEnd && isBlank(bytes[at] as number)) at++;
      const start = at;
      while (at < lineEnd && bytes[at] !== SEMICOLON) at++;
      const value = start + name.length + 1;
      if (value <= at && bytes[value - 1] === EQUALS && equalsExact(bytes, start, value - 1, name))
        return hashTrimmed(bytes, value, at);
    }
  }
  return NO_HASH;
}

function hashTrimmed(bytes: Uint8Array, start: number, end: number): number {
  let last = end;
  while (last > start && isBlank(bytes[last - 1] as number)) last--;
  return last === start ? NO_HASH : hashBytes(bytes, start, last);
}

function isBlank(byte: number): boolean {
  return byte === SP || byte === TAB;
}

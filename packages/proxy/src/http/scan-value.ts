import { BYTE_CLASS, FIELD_VALUE, TOKEN, TOKEN_PAIR } from "./tables.ts";

/**
 * The first position in `[from, end)` whose byte may not stand in a field value; `end` when there is none. Most bytes of a
 * head are in values, so four are judged at once where all are plain. `words` is the memory that `bytes` begins in at
 * `offset`.
 */
export function scanValue(bytes: Uint8Array, words: DataView, offset: number, from: number, end: number): number {
  const lastWord = end - 3;
  let pos = from;
  while (pos < lastWord) {
    const odd = oddOnes(words.getInt32(pos + offset, true));
    if (odd === 0) pos += 4;
    else {
      // The lowest odd byte comes first.
      pos += (31 - Math.clz32(odd & -odd)) >> 3;
      if (((BYTE_CLASS[bytes[pos] as number] as number) & FIELD_VALUE) === 0) return pos;
      pos++;
    }
  }
  while (pos < end && ((BYTE_CLASS[bytes[pos] as number] as number) & FIELD_VALUE) !== 0) pos++;
  return pos;
}

/**
 * The top bits of those of the four bytes that are not visible ASCII or a blank, up to the lowest, and perhaps of plain
 * ones above it: 0x7f and above carry into the top bit, controls borrow from it.
 */
function oddOnes(word: number): number {
  return (word | (word + 0x01010101) | (word - 0x20202020)) & 0x80808080;
}

/** The first position in `[from, end)` whose byte may not stand in a name; `end` when there is none. */
export function scanToken(bytes: Uint8Array, words: DataView, offset: number, from: number, end: number): number {
  const lastPair = end - 1;
  let pos = from;
  while (pos < lastPair && TOKEN_PAIR[words.getUint16(pos + offset, true)] !== 0) pos += 2;
  while (pos < end && ((BYTE_CLASS[bytes[pos] as number] as number) & TOKEN) !== 0) pos++;
  return pos;
}

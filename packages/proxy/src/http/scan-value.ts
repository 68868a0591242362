import { BYTE_CLASS, FIELD_VALUE } from "./tables.ts";

/** Bytes, and the memory they lie in with four of them to a number. */
export interface Scan {
  bytes: Uint8Array;
  /** Where `bytes` begins in the memory. */
  offset: number;
  memory: ArrayBufferLike;
  words: Int32Array<ArrayBufferLike>;
}

const none = new Uint8Array(0);
const scan: Scan = { bytes: none, offset: 0, memory: none.buffer, words: new Int32Array(0) };

/** Makes `bytes` ready to be scanned; good until the next call. Most heads lie in the one piece of memory all connections read into. */
export function scanOf(bytes: Uint8Array): Scan {
  if (scan.bytes === bytes) return scan;
  const memory = bytes.buffer;
  if (memory !== scan.memory) {
    scan.memory = memory;
    scan.words = new Int32Array(memory, 0, memory.byteLength >> 2);
  }
  scan.bytes = bytes;
  scan.offset = bytes.byteOffset;
  return scan;
}

/**
 * The first position in `[from, end)` whose byte may not stand in a field value; `end` when there is none. Most bytes of a
 * head are in values, so four are judged at once where all are plain.
 */
export function scanValue({ bytes, offset, words }: Scan, from: number, end: number): number {
  const lastWord = end - 3;
  let pos = from;
  while (pos < end) {
    if (((pos + offset) & 3) === 0) {
      while (pos < lastWord && arePlain(words[(pos + offset) >> 2] as number)) pos += 4;
      if (pos >= end) return end;
    }
    if (((BYTE_CLASS[bytes[pos] as number] as number) & FIELD_VALUE) === 0) return pos;
    pos++;
  }
  return end;
}

/** Is each of the four bytes visible ASCII or a blank? 0x7f and above carry into its top bit, controls borrow from it. */
function arePlain(word: number): boolean {
  return ((word | (word + 0x01010101) | (word - 0x20202020)) & 0x80808080) === 0;
}

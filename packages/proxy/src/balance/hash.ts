// HAProxy's functions, so that both proxies send a key to the same backend: hash-type consistent sdbm avalanche.

/** One more byte of an sdbm hash, which begins with 0. */
export function sdbm(hash: number, byte: number): number {
  return (byte + (hash << 6) + (hash << 16) - hash) | 0;
}

/** Spreads the bits of a hash over all 32; HAProxy's full_hash(). */
export function avalanche(value: number): number {
  let a = value | 0;
  a = (a + 0x7ed55d16 + (a << 12)) | 0;
  a = a ^ 0xc761c23c ^ (a >>> 19);
  a = (a + 0x165667b1 + (a << 5)) | 0;
  a = (a + 0xd3a2646c) ^ (a << 9);
  a = (a + 0xfd7046c5 + (a << 3)) | 0;
  a = a ^ 0xb55a4f09 ^ (a >>> 16);
  return Math.imul(a, 3_221_225_473) >>> 0;
}

/** The hash of `bytes[start, end)`. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0;
  for (let at = start; at < end; at++) hash = sdbm(hash, bytes[at] as number);
  return avalanche(hash);
}

export function hashText(text: string): number {
  const bytes = Buffer.from(text);
  return hashBytes(bytes, 0, bytes.length);
}

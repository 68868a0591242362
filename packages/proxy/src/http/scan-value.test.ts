import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { placeOf } from "../memory.ts";
import { scanToken, scanValue } from "./scan-value.ts";
import { BYTE_CLASS, FIELD_VALUE, TOKEN } from "./tables.ts";

describe.each([
  ["value", scanValue, FIELD_VALUE],
  ["name", scanToken, TOKEN],
] as const)("a scan of a %s", (_, scan, kind) => {
  /** The same, a byte at a time. */
  function scanBytes(bytes: Uint8Array, from: number, end: number): number {
    for (let pos = from; pos < end; pos++) if (((BYTE_CLASS[bytes[pos] as number] as number) & kind) === 0) return pos;
    return end;
  }

  function scanFast(bytes: Uint8Array, from: number, end: number): number {
    const { words, offset } = placeOf(bytes);
    return scan(bytes, words, offset, from, end);
  }

  it("finds every byte that may not stand there, at every place of a word", () => {
    const memory = new Uint8Array(64);
    for (let byte = 0; byte < 256; byte++)
      for (let at = 8; at < 24; at++) {
        memory.fill(0x61);
        memory[at] = byte;
        for (let from = 8; from <= at; from++)
          if (scanFast(memory, from, 32) !== scanBytes(memory, from, 32)) expect.fail(`${byte} at ${at} from ${from}`);
      }
  });

  it("finds what a scan by bytes finds, wherever the bytes lie in their memory", () => {
    const byte = fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 0x61, max: 0x7a }) }, fc.nat(255));
    const bytes = fc.array(byte, { maxLength: 60 });
    fc.assert(
      fc.property(bytes, fc.nat(7), fc.nat(7), fc.nat(60), (values, before, behind, from) => {
        // What surrounds them must not be looked at.
        const memory = new Uint8Array(before + values.length + behind);
        memory.set(values, before);
        const view = memory.subarray(before, before + values.length);
        const start = Math.min(from, values.length);
        expect(scanFast(view, start, view.length)).toBe(scanBytes(view, start, view.length));
      }),
    );
  });
});

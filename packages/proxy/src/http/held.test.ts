import fc from "fast-check";
import { expect, it } from "vitest";
import { fakeWire } from "../testing/fake-wire.ts";
import { createHeld, type Held, heldHead, holdBody, holdHead, lentPieces, letGo, sendHeldBody } from "./held.ts";

const HELD_BYTES_MAX = 128 * 1024;

/** What a connection would be sent of the body. */
function sent(held: Held): string {
  const wire = fakeWire();
  sendHeldBody(held, wire);
  return wire.sent;
}

function letters(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, n) => 97 + ((n + seed) % 23)));
}

it("gives head and body back as they came, however they were cut, and all of its memory", () => {
  const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(20_000), fc.constant(4_096)), { maxLength: 8 });
  const request = fc.tuple(fc.integer({ min: 1, max: 16_384 }), sizes);
  fc.assert(
    fc.property(fc.array(request, { maxLength: 5 }), (requests) => {
      // All at once, so that one that wrote into another's memory is found.
      const all = requests.map(([headLength, bodies], n) => {
        const held = createHeld();
        const head = letters(headLength + 2, n);
        holdHead(held, head, 1, headLength + 1);
        return { held, head: head.subarray(1, headLength + 1), bodies, body: "" };
      });
      for (const each of all)
        for (const [n, size] of each.bodies.entries()) {
          const bytes = letters(size + 3, n);
          holdBody(each.held, bytes, 2, size + 2);
          each.body += bytes.toString("latin1", 2, size + 2);
        }
      for (const { held, head, body } of all) {
        const whole = body.length <= HELD_BYTES_MAX;
        expect(heldHead(held)?.equals(head)).toBe(whole ? true : undefined);
        expect(sent(held) === (whole ? body : "")).toBe(true);
      }
      for (const { held } of all) letGo(held);
      expect(lentPieces()).toBe(0);
    }),
  );
});

it("holds no body without a head, and none beyond its bound", () => {
  const held = createHeld();
  holdBody(held, letters(10, 0), 0, 10);
  expect(sent(held)).toBe("");
  holdHead(held, letters(10, 0), 0, 10);
  holdBody(held, letters(HELD_BYTES_MAX, 0), 0, HELD_BYTES_MAX);
  expect(sent(held).length).toBe(HELD_BYTES_MAX);
  holdBody(held, letters(1, 0), 0, 1);
  expect(heldHead(held)).toBeUndefined();
  expect(lentPieces()).toBe(0);
});

it("serves more requests at once than there are pieces to lend", () => {
  const all = Array.from({ length: 3_000 }, (_, n) => {
    const held = createHeld();
    holdHead(held, letters(40, n), 0, 40);
    return held;
  });
  expect(lentPieces()).toBe(1_024);
  for (const [n, held] of all.entries()) expect(heldHead(held)?.equals(letters(40, n))).toBe(true);
  for (const held of all) letGo(held);
  for (const held of all) letGo(held);
  expect(lentPieces()).toBe(0);
});

import { describe, expect, it } from "vitest";
import { exponentialBackoff } from "./backoff.ts";

describe("exponentialBackoff", () => {
  it("doubles up to its bound", () => {
    let backoff = exponentialBackoff({ minMs: 100, maxMs: 500 });
    const steps: number[] = [];
    for (let i = 0; i < 5; i++) {
      steps.push(backoff.delayMs(() => 1));
      backoff = backoff.next();
    }
    expect(steps).toEqual([100, 200, 400, 500, 500]);
  });

  it("spreads over the upper half of a step", () => {
    const backoff = exponentialBackoff({ minMs: 100, maxMs: 100 });
    expect(backoff.delayMs(() => 0)).toBe(50);
    expect(backoff.delayMs(() => 0.5)).toBe(75);
  });

  it("is a value: asking twice gives the same", () => {
    const first = exponentialBackoff({ minMs: 1, maxMs: 8, factor: 3 });
    first.next().next();
    expect(first.next().delayMs(() => 1)).toBe(3);
  });

  it.each([
    { minMs: 0, maxMs: 1 },
    { minMs: 2, maxMs: 1 },
    { minMs: 1, maxMs: 2, factor: 0.5 },
    { minMs: Number.NaN, maxMs: 2 },
  ])("refuses %j", (options) => {
    expect(() => exponentialBackoff(options)).toThrow(RangeError);
  });
});

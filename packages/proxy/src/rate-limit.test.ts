import { describe, expect, it } from "vitest";
import { afterTake, FULL, type RateSpec, tokenInMs } from "./rate-limit.ts";

/** Which of these moments get a token. */
function granted(spec: RateSpec, momentsMs: readonly number[]): boolean[] {
  let fullAtMs = FULL;
  return momentsMs.map((nowMs) => {
    const mayPass = tokenInMs(fullAtMs, spec, nowMs) === 0;
    if (mayPass) fullAtMs = afterTake(fullAtMs, spec, nowMs);
    return mayPass;
  });
}

describe("a bucket", () => {
  it("lets a burst through, then one for each token that comes back", () => {
    const spec = { requests: 10, perMs: 1_000, burst: 3 };
    expect(granted(spec, [0, 0, 0, 0, 99, 100, 100, 199, 200])).toEqual([
      ...[true, true, true, false],
      ...[false, true, false, false, true],
    ]);
  });

  it("is full again after a quiet time, and holds no more than the burst", () => {
    const spec = { requests: 10, perMs: 1_000, burst: 2 };
    expect(granted(spec, [0, 0, 0, 60_000, 60_000, 60_000])).toEqual([true, true, false, true, true, false]);
  });

  it("says how long there is none", () => {
    const spec = { requests: 2, perMs: 1_000, burst: 1 };
    const fullAtMs = afterTake(FULL, spec, 5_000);
    expect(tokenInMs(fullAtMs, spec, 5_000)).toBe(500);
    expect(tokenInMs(fullAtMs, spec, 5_499)).toBe(1);
    expect(tokenInMs(fullAtMs, spec, 5_500)).toBe(0);
  });

  it.each([3, 7, 1_000, 999_983])("holds a burst of %i to the last one, whatever its interval", (requests) => {
    const spec = { requests, perMs: 1_000, burst: requests };
    const moments = Array.from({ length: Math.min(requests, 10_000) + 1 }, () => 123_456_789.123);
    const all = granted(spec, moments);
    expect(all.filter(Boolean)).toHaveLength(Math.min(requests, moments.length));
  });

  it("that is asked for twice its rate lets half of it through", () => {
    const spec = { requests: 100, perMs: 1_000, burst: 1 };
    const moments = Array.from({ length: 2_000 }, (_, n) => n * 5);
    expect(granted(spec, moments).filter(Boolean)).toHaveLength(1_000);
  });
});

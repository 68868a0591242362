import { fakeClock } from "@smartstack/core/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTimeout, createTimerWheel } from "./timer-wheel.ts";

function setup() {
  const clock = fakeClock();
  const wheel = createTimerWheel(clock);
  const firedMs: number[] = [];
  const timeout = createTimeout(() => firedMs.push(clock.monotonic()));
  return { clock, wheel, timeout, firedMs };
}

describe("timer wheel", () => {
  it.each([1, 49, 50, 51, 500, 60_000, 3_600_000])(
    "fires %i ms later: never early, at most a tick late",
    async (ms) => {
      const { clock, wheel, timeout, firedMs } = setup();
      await clock.advance(123);
      wheel.arm(timeout, ms);
      await clock.advance(ms + 100);
      expect(firedMs).toHaveLength(1);
      expect(firedMs[0]).toBeGreaterThanOrEqual(123 + ms);
      expect(firedMs[0]).toBeLessThanOrEqual(123 + ms + 50);
      await clock.advance(7_200_000);
      expect(firedMs).toHaveLength(1);
    },
  );

  it("can be pushed back, pulled forward and disarmed", async () => {
    const { clock, wheel, timeout, firedMs } = setup();
    for (let n = 0; n < 20; n++) {
      wheel.arm(timeout, 200);
      await clock.advance(100);
    }
    expect(firedMs).toEqual([]);
    wheel.arm(timeout, 60_000);
    wheel.arm(timeout, 100);
    await clock.advance(150);
    expect(firedMs).toHaveLength(1);
    wheel.arm(timeout, 100);
    wheel.disarm(timeout);
    await clock.advance(1_000);
    wheel.arm(timeout, 100);
    wheel.arm(timeout, 0);
    await clock.advance(1_000);
    expect(firedMs).toHaveLength(1);
  });

  it("works after a long sleep with nothing armed, and after a late turn", async () => {
    const { clock, wheel, timeout, firedMs } = setup();
    await clock.advance(10 * 3_600_000);
    wheel.arm(timeout, 100);
    await clock.advance(150);
    expect(firedMs).toHaveLength(1);
  });

  it("lets a timeout disarm and arm others while it fires", async () => {
    const { clock, wheel, firedMs } = setup();
    const other = createTimeout(() => firedMs.push(-1));
    const again = createTimeout(() => firedMs.push(clock.monotonic()));
    const first = createTimeout(() => {
      wheel.disarm(other);
      wheel.arm(again, 100);
    });
    wheel.arm(first, 100);
    wheel.arm(other, 100);
    await clock.advance(300);
    expect(firedMs).toEqual([200]);
  });

  it("fires in time beside one that was pushed far back", async () => {
    const { clock, wheel, timeout, firedMs } = setup();
    const pushed = createTimeout(() => undefined);
    wheel.arm(pushed, 100);
    wheel.arm(timeout, 500);
    wheel.arm(pushed, 30_000);
    await clock.advance(40_000);
    expect(firedMs).toEqual([500]);
  });

  it("waits with one timer, and with none once stopped", () => {
    const { clock, wheel } = setup();
    for (let n = 1; n <= 100; n++)
      wheel.arm(
        createTimeout(() => undefined),
        n * 37,
      );
    expect(clock.pending()).toBe(1);
    wheel.stop();
    expect(clock.pending()).toBe(0);
  });

  it("fires each of many once, in its window", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 120_000 }), { maxLength: 40 }), async (delays) => {
        const clock = fakeClock();
        const wheel = createTimerWheel(clock);
        const fired: number[] = [];
        for (const [n, ms] of delays.entries()) {
          const timeout = createTimeout(() => {
            fired[n] = clock.monotonic() - ms;
          });
          // Half of them are pushed back or pulled forward to where they belong.
          if (n % 2 === 0) wheel.arm(timeout, delays.at(-1 - n) as number);
          wheel.arm(timeout, ms);
        }
        await clock.advance(121_000);
        for (const n of delays.keys()) {
          expect(fired[n]).toBeGreaterThanOrEqual(0);
          expect(fired[n]).toBeLessThanOrEqual(50);
        }
      }),
      { numRuns: 20 },
    );
  });
});

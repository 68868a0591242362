import { describe, expect, it } from "vitest";
import { afterTick, CALM, type LoopSample, type Overload } from "./overload.ts";

const LAG_MS = 1_000;
const EVERY_MS = 500;

/** A tick this late, of a process that had this part of a core. */
const tick = (lateMs: number, busy: number): LoopSample => {
  const passedMs = EVERY_MS + lateMs;
  return { lateMs, cpuMs: busy * passedMs, passedMs };
};
const after = (from: Overload, ...ticks: readonly LoopSample[]): Overload =>
  ticks.reduce((before, sample) => afterTick(before, sample, LAG_MS), from);
const times = (count: number, sample: LoopSample): LoopSample[] => Array.from({ length: count }, () => sample);

const IDLE = tick(1, 0.01);
const BUSY = tick(200, 1);
const DROWNING = tick(1_500, 1);
const OVERLOADED: Overload = { late: 3, share: 0.6 };

describe("nothing is turned away", () => {
  it.each([
    ["in a process with little to do", times(100, IDLE)],
    ["in one that works all the time and keeps up", times(100, BUSY)],
    ["after the machine stood still for a minute", [IDLE, tick(60_000, 0), IDLE]],
    ["while it stands still again and again", times(20, tick(2_000, 0.1))],
    ["while others take the cores away", times(20, tick(1_500, 0.4))],
    ["after a long collection of garbage, and a second one", [BUSY, tick(3_000, 1.8), tick(1_200, 1.5), BUSY]],
    ["while every third tick is good", Array.from({ length: 10 }, () => [DROWNING, DROWNING, BUSY]).flat()],
  ])("%s", (_, ticks) => {
    expect(after(CALM, ...ticks).share).toBe(0);
  });
});

describe("an overload", () => {
  it("shows in the third late tick, and a growing part is turned away while it lasts", () => {
    const shares = [1, 2, 3, 4, 5, 6].map((count) => after(CALM, ...times(count, DROWNING)).share);
    expect(shares.map((share) => Math.round(share * 100))).toEqual([0, 0, 15, 30, 45, 60]);
  });

  it("never turns all away", () => {
    expect(after(CALM, ...times(100, tick(60_000, 1))).share).toBe(0.9);
  });

  it("grows faster the later the ticks are, within bounds", () => {
    const [little, much, absurd] = [1_000, 2_000, 600_000].map((lateMs) => after(OVERLOADED, tick(lateMs, 1)).share);
    expect([little, much, absurd]).toEqual([0.7, expect.closeTo(0.8), expect.closeTo(0.9)]);
  });

  it("ends step by step once ticks come in half of what is tolerated", () => {
    expect(after(OVERLOADED, tick(499, 1)).share).toBeCloseTo(0.5);
    expect(after(OVERLOADED, ...times(6, BUSY)).share).toBe(0);
  });

  it("neither grows nor ends in between, or while the process does not get to run", () => {
    expect(after(OVERLOADED, ...times(10, tick(700, 1))).share).toBe(0.6);
    expect(after(OVERLOADED, ...times(10, tick(5_000, 0.1))).share).toBe(0.6);
  });

  it("that comes again is noticed as late as the first time, and what is turned away still is", () => {
    const between = after(OVERLOADED, BUSY);
    expect(after(between, DROWNING, DROWNING).share).toBe(between.share);
    expect(after(between, DROWNING, DROWNING, DROWNING).share).toBeGreaterThan(between.share);
  });
});

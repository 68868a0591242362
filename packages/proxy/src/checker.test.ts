import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { type Backend, createBackend } from "./backend.ts";
import { createChecker, pauseMs, probePlan } from "./checker.ts";
import type { ProbeResult } from "./health.ts";
import { type CheckSpec, DEFAULT_CHECK } from "./snapshot.ts";
import { backendSpec } from "./testing/bench.ts";

const backend = (change: Partial<Backend> = {}, suspect = false): Backend => ({
  ...createBackend(backendSpec("b", 1, { suspect }), DEFAULT_CHECK, 0),
  ...change,
});
const DOWN = { status: "down", streak: 0, reason: "x" } as const;
const check = (when: CheckSpec["when"]): CheckSpec => ({ ...DEFAULT_CHECK, when });

it.each([
  ["no doubt, on_doubt", backend(), "on_doubt", false, undefined],
  ["no doubt, always", backend(), "always", false, 2_000],
  ["stale view, on_doubt", backend(), "on_doubt", true, 2_000],
  ["ejected, on_doubt", backend({ health: DOWN }), "on_doubt", false, 2_000],
  ["suspect, on_doubt", backend({}, true), "on_doubt", false, 1_000],
  ["suspect, off", backend({}, true), "off", false, 1_000],
  ["stale and down, off", backend({ health: DOWN }), "off", true, undefined],
  ["removed", backend({ removed: true }, true), "always", true, undefined],
] as const)("%s: every %s", (_, of, when, stale, intervalMs) => {
  expect(probePlan(of, check(when), stale)?.intervalMs).toBe(intervalMs);
});

it("passes over probes that could not be made for want of something here, and goes on", async () => {
  const clock = fakeClock();
  const results: ProbeResult[] = [
    { ok: false, reason: "EMFILE", ours: true },
    { ok: false, reason: "refused", ours: false },
    { ok: true, reason: "" },
  ];
  const heard: string[] = [];
  const checker = createChecker({
    clock,
    random: seededRandom(1),
    probe: (_, __, done) => clock.after(1, () => done(results.shift() ?? { ok: true, reason: "" })),
    onResult: (_, { ok, reason }) => heard.push(`${ok} ${reason}`),
  });
  checker.schedule(backend(), check("always"), false);
  await clock.advance(6_500);
  expect(heard).toEqual(["false refused", "true "]);
  checker.stop();
});

it("probes an ejected backend soon, then at the interval, one probe at a time, until it is trusted", async () => {
  const clock = fakeClock();
  const atMs: number[] = [];
  let answer: ((result: ProbeResult) => void) | undefined;
  const checker = createChecker({
    clock,
    random: seededRandom(1),
    probe: (_, __, done) => {
      atMs.push(clock.monotonic());
      answer = done;
      return () => undefined;
    },
    onResult: () => undefined,
  });
  const of = backend({ health: DOWN });
  checker.schedule(of, check("on_doubt"), false);
  // Being told again, as every snapshot does, must not push the probe back.
  await clock.advance(200);
  checker.schedule(of, check("on_doubt"), false);
  await clock.advance(5_000);
  expect(atMs).toEqual([250]);
  answer?.({ ok: true, reason: "" });
  await clock.advance(5_000);
  expect(atMs).toEqual([250, 7_200]);
  answer?.({ ok: true, reason: "" });
  of.health = { status: "up", streak: 0, reason: "" };
  checker.schedule(of, check("on_doubt"), false);
  await clock.advance(60_000);
  expect(atMs).toHaveLength(2);
  expect(clock.pending()).toBe(0);
});

it.each([
  ["up", 0, 2_000],
  ["up", 1, 300],
  ["unchecked", 0, 300],
  ["down", 0, 9_000],
  ["down", 1, 300],
] as const)("pauses after a probe that leaves it %s with a streak of %d: %d ms", (status, streak, ms) => {
  const plan = { firstMs: 0, intervalMs: 2_000 };
  const health = { status, streak, reason: "" };
  expect(pauseMs(health, { plan, check: { ...DEFAULT_CHECK, fastIntervalMs: 300, downIntervalMs: 9_000 } })).toBe(ms);
  expect(pauseMs(health, { plan, check: DEFAULT_CHECK })).toBe(2_000);
  const suspect = { firstMs: 0, intervalMs: 200 };
  if (status !== "down")
    expect(pauseMs(health, { plan: suspect, check: { ...DEFAULT_CHECK, fastIntervalMs: 300 } })).toBe(200);
});

import { eventBus } from "@smartstack/core";
import { type FakeClock, fakeClock, seededRandom } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import { NO_HASH } from "./balance/balance.ts";
import { DEFAULT_OUTLIER } from "./outlier.ts";
import { createPool, type Pool } from "./pool.ts";
import type { ServiceSpec } from "./snapshot.ts";
import { backendSpec, serviceSpec } from "./testing/bench.ts";
import { UNTIMED } from "./timing.ts";

const KEYS = ["a", "b", "c", "d", "e"];
/** Between requests: 400 a second. */
const EVERY_MS = 2.5;

interface Scene {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly running: { readonly endMs: number; readonly end: () => void }[];
}

function poolOf(change: Partial<ServiceSpec>): Scene {
  const clock = fakeClock();
  const spec = serviceSpec({ backends: KEYS.map((key, n) => backendSpec(key, n + 1)), ...change });
  const pool = createPool(spec, {
    clock,
    random: seededRandom(1),
    events: eventBus(),
    onHealth: undefined,
    probe: () => () => undefined,
  });
  return { pool, clock, running: [] };
}

/** Requests that come one after the other and take what `msOf` says; how many went to each. */
async function run({ pool, clock, running }: Scene, count: number, msOf: (key: string) => number) {
  const counts: Record<string, number> = {};
  for (let n = 0; n < count; n++) {
    await clock.advance(EVERY_MS);
    for (const one of running.filter(({ endMs }) => endMs <= clock.monotonic())) {
      one.end();
      running.splice(running.indexOf(one), 1);
    }
    const backend = pool.pick([], NO_HASH);
    if (backend === undefined) throw new Error("no backend");
    counts[backend.key] = (counts[backend.key] ?? 0) + 1;
    pool.begin(backend);
    const askedMs = pool.asked(backend, true);
    running.push({
      endMs: clock.monotonic() + msOf(backend.key),
      end() {
        pool.answered(backend, askedMs);
        pool.well(backend);
        pool.end(backend);
      },
    });
  }
  return counts;
}

const slowE = (key: string): number => (key === "e" ? 100 : 5);

describe.each(["random", "least_conn"] as const)("%s", (balance) => {
  it("gives a backend that is 20 times as slow less than 1 % of the requests, and its part when it is quick again", async () => {
    const scene = poolOf({ balance });
    expect((await run(scene, 2_000, () => 5)).e).toBeGreaterThan(350);
    await run(scene, 2_000, slowE);
    const slow = (await run(scene, 4_000, slowE)).e ?? 0;
    expect(slow).toBeGreaterThan(10);
    expect(slow).toBeLessThan(40);
    expect(scene.pool.status()[4]?.reason).toContain("20 times as slow as the others");
    await run(scene, 2_000, () => 5);
    expect((await run(scene, 2_000, () => 5)).e).toBeGreaterThan(350);
    expect(scene.pool.status()[4]?.reason).not.toContain("slow");
  });

  it("still gives a slow one what the others are too busy for", async () => {
    const scene = poolOf({ balance });
    await run(scene, 2_000, (key) => (key === "e" ? 100 : 25));
    expect((await run(scene, 1_000, (key) => (key === "e" ? 4_000 : 1_000))).e).toBeGreaterThan(30);
  });

  it("takes nobody for slow where all are, or where one is alone", async () => {
    const scene = poolOf({ balance });
    await run(scene, 2_000, () => 5);
    await run(scene, 2_000, () => 100);
    expect((await run(scene, 2_000, () => 100)).e).toBeGreaterThan(350);
    const alone = poolOf({ balance, backends: [backendSpec("a", 1)] });
    expect(await run(alone, 100, () => 100)).toEqual({ a: 100 });
  });

  it("does not trust a slow one anew because it was ejected for a while", async () => {
    const scene = poolOf({ balance, outlier: DEFAULT_OUTLIER });
    await run(scene, 2_000, () => 5);
    const counts: number[] = [];
    for (let n = 0; n < 10; n++) counts.push((await run(scene, 2_000, slowE)).e ?? 0);
    expect(Math.max(...counts.slice(1))).toBeLessThan(20);
    expect(scene.pool.status()[4]?.counters.ejections).toBeGreaterThan(0);
  });
});

it("reads no clock for algorithms that do not go by who is busy, nor for connections", () => {
  for (const change of [{ balance: "round_robin" }, { balance: "least_conn", mode: "tcp" }] as const) {
    const { pool } = poolOf(change);
    const backend = pool.pick([], NO_HASH) as never;
    for (let n = 0; n < 20; n++) expect(pool.asked(backend, true)).toBe(UNTIMED);
  }
});

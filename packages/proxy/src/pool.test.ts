import { eventBus, systemClock } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import type { Backend } from "./backend.ts";
import { NO_HASH } from "./balance/balance.ts";
import { DEFAULT_OUTLIER } from "./outlier.ts";
import { createPool, type Pool } from "./pool.ts";
import { type BalanceName, DEFAULT_SHARING, type ServiceSpec } from "./snapshot.ts";
import { backendSpec, serviceSpec } from "./testing/bench.ts";
import { UNTIMED } from "./timing.ts";

function poolOf(
  change: Partial<ServiceSpec>,
  clock = systemClock,
): { pool: Pool; apply(more: Partial<ServiceSpec>): void } {
  let spec = serviceSpec(change);
  const pool = createPool(spec, {
    clock,
    random: seededRandom(1),
    events: eventBus(),
    onHealth: undefined,
    probe: () => () => undefined,
  });
  return {
    pool,
    apply(more) {
      spec = { ...spec, ...more };
      pool.apply(spec);
    },
  };
}

function picks(pool: Pool, count: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < count; n++) {
    const key = pool.pick([], NO_HASH)?.key ?? "none";
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

const weightOf = (pool: Pool, key: string): number | undefined =>
  pool.status().find((backend) => backend.key === key)?.effectiveWeight;

it("keeps backups back until the others are out, and again when they return", () => {
  const [a, backup] = [backendSpec("a", 1), backendSpec("b", 2, { backup: true })];
  const { pool, apply } = poolOf({ backends: [a, backup] });
  expect(picks(pool, 4)).toEqual({ a: 4 });
  expect(pool.status()[1]).toMatchObject({ usable: true, effectiveWeight: 0, reason: /in reserve: a backup/ });
  pool.failed(pool.pick([], NO_HASH) as never, "refused");
  expect(picks(pool, 4)).toEqual({ b: 4 });
  apply({ backends: [{ ...a, port: 3 }, backup] });
  expect(picks(pool, 4)).toEqual({ a: 4 });
});

it("retries go to spare backends before those in doubt, and to ejected ones last", () => {
  const all = [
    backendSpec("a", 1),
    backendSpec("doubtful", 2, { suspect: true }),
    backendSpec("backup", 3, { backup: true }),
    backendSpec("out", 4),
  ];
  const { pool } = poolOf({ backends: all });
  const by = new Map<string, NonNullable<ReturnType<Pool["pick"]>>>();
  for (let n = 0; n < 9; n++) {
    const picked = pool.pick([], NO_HASH);
    if (picked !== undefined) by.set(picked.key, picked);
  }
  pool.failed(by.get("out") as never, "refused");
  const tried = [by.get("a") as never];
  const order = [];
  for (let next = pool.pick(tried, NO_HASH); next !== undefined; next = pool.pick(tried, NO_HASH)) {
    order.push(next.key);
    tried.push(next as never);
  }
  expect(order).toEqual(["backup", "doubtful", "out"]);
});

it("lets a newcomer grow to its weight, and nobody who comes when there is no other", async () => {
  const clock = fakeClock();
  const sharing = { ...DEFAULT_SHARING, slowStartMs: 10_000 };
  const { pool, apply } = poolOf({ backends: [backendSpec("a", 1)], sharing }, clock);
  expect(weightOf(pool, "a")).toBe(1);
  apply({ backends: [backendSpec("a", 1), backendSpec("b", 2, { weight: 10 })] });
  expect(weightOf(pool, "b")).toBe(1);
  await clock.advance(1_500);
  expect(weightOf(pool, "b")).toBe(1.5);
  await clock.advance(3_500);
  expect(weightOf(pool, "b")).toBeCloseTo(5, 0);
  await clock.advance(6_000);
  expect(weightOf(pool, "b")).toBe(10);
  pool.stop();
});

it("gives a label's subset its percentage", () => {
  const backends = [backendSpec("a", 1), backendSpec("b", 2), backendSpec("c", 3, { subset: "canary" })];
  const sharing = { ...DEFAULT_SHARING, subsets: [{ name: "canary", share: 5 }] };
  const { pool } = poolOf({ backends, sharing });
  expect(picks(pool, 400).c).toBe(20);
});

it.each(["round_robin", "least_conn", "random", "ewma", "source"] satisfies BalanceName[])(
  "%s gives backends their shares again when all come back from an ejection",
  (balance) => {
    const { pool } = poolOf({ balance, backends: ["a", "b", "c"].map((key, n) => backendSpec(key, n + 1)) });
    const shares = (): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (let n = 0; n < 300; n++) {
        const { key } = pool.pick([], n * 14_316_557) ?? { key: "none" };
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    };
    const backends = [...new Set(Array.from({ length: 1_000 }, (_, n) => pool.pick([], n * 14_316_557) as Backend))];
    const before = shares();
    // Any number of them may be out together, and come back in any order.
    for (const order of [[0], [0, 1], [1, 0], [0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
      const out = order.toSorted().map((n) => backends[n] as Backend);
      for (const backend of out) pool.failed(backend, "refused");
      pool.pick([], 1);
      for (const n of order) pool.tell((backends[n] as Backend).key, true, "probe passed");
      const after = shares();
      for (const { key } of backends)
        expect(Math.abs((after[key] ?? 0) - (before[key] ?? 0)), `${key}, ${order}`).toBeLessThan(60);
    }
  },
);

it("reads the clock for a request only where somebody wants to know", () => {
  const { pool, apply } = poolOf({ backends: [backendSpec("a", 1)] });
  const a = pool.pick([], NO_HASH) as Backend;
  expect(pool.asked(a, true)).toBe(UNTIMED);
  pool.answered(a, UNTIMED);
  expect(a.seen).toMatchObject({ asked: 0, samples: 0 });
  apply({ outlier: DEFAULT_OUTLIER });
  pool.answered(a, pool.asked(a, true));
  expect(a.seen).toMatchObject({ asked: 1, samples: 1 });
  apply({ balance: "ewma" });
  expect(pool.asked(a, true)).not.toBe(UNTIMED);
});

it("takes another algorithm at once, counting what runs on", () => {
  const { pool, apply } = poolOf({ backends: [backendSpec("a", 1), backendSpec("b", 2)] });
  const busy = pool.pick([], NO_HASH) as NonNullable<ReturnType<Pool["pick"]>>;
  for (let n = 0; n < 3; n++) pool.begin(busy);
  for (const balance of ["least_conn", "source", "random", "least_conn"] satisfies BalanceName[]) {
    apply({ balance });
    for (let n = 0; n < 4; n++) if (balance !== "source") expect(pool.pick([], NO_HASH)).not.toBe(busy);
  }
  for (let n = 0; n < 3; n++) pool.end(busy);
  apply({ balance: "ewma" });
  pool.answered(busy, pool.asked(busy, true));
  expect(busy.notes.latencyMs).toBeLessThan(30);
});

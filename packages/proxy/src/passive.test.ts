import { eventBus, type StackEvent } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import type { Backend } from "./backend.ts";
import { NO_HASH } from "./balance/balance.ts";
import { DEFAULT_OUTLIER } from "./outlier.ts";
import { createPool } from "./pool.ts";
import { DEFAULT_CHECK, DEFAULT_SHARING, type ServiceSpec } from "./snapshot.ts";
import { backendSpec, serviceSpec } from "./testing/bench.ts";

const rules = DEFAULT_OUTLIER;
const four = ["a", "b", "c", "d"].map((key, index) => backendSpec(key, index + 1));

/** `probed`: by this process, else by another one. */
function poolOf(change: Partial<ServiceSpec> = {}, probed = true) {
  const clock = fakeClock();
  const bus = eventBus();
  const events: StackEvent[] = [];
  bus.subscribe((event) => events.push(event));
  let passes = true;
  const pool = createPool(serviceSpec({ backends: four, outlier: rules, ...change }), {
    clock,
    random: seededRandom(1),
    events: bus,
    onHealth: undefined,
    probe: probed
      ? (_backend, _check, done) => {
          done({ ok: passes, reason: "refused" });
          return () => undefined;
        }
      : undefined,
  });
  const backends = new Map<string, Backend>();
  for (let n = 0; n < 4; n++) {
    const backend = pool.pick([], NO_HASH) as Backend;
    backends.set(backend.key, backend);
  }
  const ask = async (backend: Backend, answer: (backend: Backend) => void, tookMs = 5): Promise<void> => {
    pool.begin(backend);
    const askedMs = pool.asked(backend, true);
    await clock.advance(tookMs);
    pool.answered(backend, askedMs);
    answer(backend);
    pool.end(backend);
  };
  return {
    pool,
    clock,
    apply: (more: Partial<ServiceSpec>) =>
      pool.apply(serviceSpec({ backends: four, outlier: rules, ...change, ...more })),
    names: () => events.map(({ name, data }) => `${name.replace("backend.", "")} ${"id" in data ? data.id : ""}`),
    of: (key: string) => backends.get(key) as Backend,
    well: (key: string, tookMs?: number) => ask(backends.get(key) as Backend, pool.well, tookMs),
    /** `alone`: nobody else is asked meanwhile. */
    badly: async (key: string, times: number, alone = false) => {
      for (let n = 0; n < times; n++) {
        for (const peer of alone ? [] : backends.values())
          for (let asked = 0; peer.key !== key && asked < 2; asked++) await ask(peer, pool.well);
        await ask(backends.get(key) as Backend, (each) => pool.badly(each, "status 500"));
      }
    },
    statusOf: (key: string) => pool.status().find((backend) => backend.key === key),
    probesPass(value: boolean) {
      passes = value;
    },
  };
}

it("ejects who fails in a row, and takes it back when its time is over and a probe passes", async () => {
  const { clock, badly, of, statusOf, names, probesPass, pool } = poolOf();
  await badly("a", 4);
  expect(statusOf("a")).toMatchObject({ usable: true });
  await badly("a", 1);
  expect(statusOf("a")).toMatchObject({
    usable: false,
    health: "unchecked",
    effectiveWeight: 0,
    reason: "ejected for 5 s: 5 failures in a row, the last: status 500",
    counters: { ejections: 1 },
  });
  probesPass(false);
  await clock.advance(rules.ejectMs + 1_000);
  expect(statusOf("a")?.reason).toMatch(/now it has to pass a probe/);
  probesPass(true);
  await clock.advance(DEFAULT_CHECK.intervalMs);
  expect(statusOf("a")).toMatchObject({ usable: true });
  expect(names()).toEqual(["ejected a", "returned a"]);
  expect(of("a").ejection).toBeUndefined();
  pool.stop();
});

it("ejects again at its first failure after the return, for twice as long", async () => {
  const { clock, badly, well, statusOf } = poolOf();
  await badly("a", 5);
  await clock.advance(rules.ejectMs + DEFAULT_CHECK.intervalMs);
  expect(statusOf("a")?.usable).toBe(true);
  await badly("a", 1);
  expect(statusOf("a")?.reason).toMatch(/^ejected for 10 s/);
  await clock.advance(2 * rules.ejectMs + DEFAULT_CHECK.intervalMs);
  await well("a");
  await badly("a", 4);
  expect(statusOf("a")?.usable).toBe(true);
});

it("never takes out more than the ceiling, nor anybody for what all do", async () => {
  const { badly, well, statusOf } = poolOf();
  const usable = (): number => ["a", "b", "c", "d"].filter((key) => statusOf(key)?.usable).length;
  for (let n = 0; n < 30; n++) for (const key of ["c", "d"]) await well(key);
  await badly("a", 5);
  await badly("b", 5);
  expect(usable()).toBe(2);
  await badly("c", 50);
  expect(usable()).toBe(2);

  const all = poolOf();
  for (let n = 0; n < 50; n++) for (const key of ["a", "b", "c", "d"]) await all.badly(key, 1, true);
  expect(["b", "c", "d"].map((key) => all.statusOf(key)?.usable)).toEqual([true, true, true]);
});

it("ejects who is many times as slow as the others", async () => {
  const { well, statusOf } = poolOf({ check: { ...DEFAULT_CHECK, when: "off" } });
  for (let n = 0; n < 100 && statusOf("d")?.usable; n++) {
    for (const key of ["a", "b", "c"]) await well(key, 5);
    await well("d", 100);
  }
  expect(statusOf("d")?.reason).toMatch(/^ejected for \d+ s: answers in/);
  expect(["a", "b", "c"].every((key) => statusOf(key)?.usable)).toBe(true);
});

it("does not measure who is back by what it was asked before it went", async () => {
  const { pool, clock, of, badly, well } = poolOf();
  const a = of("a");
  pool.begin(a);
  const askedMs = pool.asked(a, true);
  await badly("a", 5);
  expect(a.ejection).toBeDefined();
  await clock.advance(rules.ejectMs + DEFAULT_CHECK.intervalMs);
  expect(a.usable).toBe(true);
  pool.answered(a, askedMs);
  expect(a.seen.samples).toBe(0);
  await well("a");
  expect(a.seen.samples).toBe(1);
});

it("ejects who answers nothing any more while the others do, and comes back by time alone where nobody probes", async () => {
  const { pool, clock, of, well, statusOf } = poolOf({ check: { ...DEFAULT_CHECK, when: "off" } });
  for (let n = 0; n < 20; n++) for (const key of ["a", "b", "c", "d"]) await well(key);
  for (let n = 0; n < 3; n++) {
    pool.begin(of("d"));
    pool.asked(of("d"), true);
  }
  for (let n = 0; n < 400 && statusOf("d")?.usable; n++) for (const key of ["a", "b", "c"]) await well(key);
  expect(statusOf("d")?.reason).toMatch(/no answer for .* s, 3 wait/);
  await clock.advance(rules.ejectMs);
  expect(statusOf("d")?.usable).toBe(true);
});

it("keeps out longer who resets connections again and again, though probes pass", async () => {
  const { pool, clock, of, statusOf } = poolOf();
  pool.reset(of("a"), "connection reset");
  expect(statusOf("a")?.reason).toBe("ejected: connection reset");
  await clock.advance(5_000);
  expect(statusOf("a")?.usable).toBe(true);
  pool.reset(of("a"), "connection reset");
  await clock.advance(4_000);
  expect(statusOf("a")).toMatchObject({ usable: false, health: "up", reason: /^ejected for 5 s: again/ });
  await clock.advance(4_000);
  expect(statusOf("a")?.usable).toBe(true);
});

it("takes back by time alone where another process probes", async () => {
  const { badly, clock, statusOf } = poolOf({}, false);
  await badly("a", 5);
  expect(statusOf("a")?.usable).toBe(false);
  await clock.advance(rules.ejectMs);
  expect(statusOf("a")?.usable).toBe(true);
});

it("takes back who waits for a probe that is switched off, and everybody when ejecting is", async () => {
  const { badly, clock, statusOf, apply, probesPass } = poolOf();
  probesPass(false);
  await badly("a", 5);
  await clock.advance(rules.ejectMs);
  expect(statusOf("a")?.reason).toMatch(/has to pass a probe/);
  apply({ check: { ...DEFAULT_CHECK, when: "off" } });
  expect(statusOf("a")?.usable).toBe(true);
  await badly("b", 5);
  expect(statusOf("b")?.usable).toBe(false);
  apply({ outlier: undefined as never });
  expect(statusOf("b")?.usable).toBe(true);
  expect(clock.pending()).toBe(0);
});

it("does nothing when it is switched off, and lets go of who leaves", async () => {
  const { badly, statusOf, apply, clock, names } = poolOf();
  apply({ outlier: undefined as never });
  await badly("a", 50);
  expect(statusOf("a")?.usable).toBe(true);
  apply({});
  await badly("b", 5);
  apply({ backends: four.filter(({ key }) => key !== "b") });
  await clock.advance(60_000);
  expect(names()).toEqual(["ejected b"]);
});

it("gives all of them traffic when too few are left", async () => {
  const { pool, of, apply, statusOf } = poolOf();
  for (const key of ["a", "b", "c"]) pool.failed(of(key), "refused");
  expect(statusOf("a")).toMatchObject({ usable: false, effectiveWeight: 0 });
  apply({ sharing: { ...DEFAULT_SHARING, panicPercent: 50 } });
  expect(statusOf("a")).toMatchObject({ usable: false, effectiveWeight: 1, reason: /as too few are left/ });
  const picked = new Set(Array.from({ length: 16 }, () => pool.pick([], NO_HASH)?.key));
  expect([...picked].sort()).toEqual(["a", "b", "c", "d"]);
  apply({ sharing: { ...DEFAULT_SHARING, panicPercent: 25 } });
  expect(statusOf("a")).toMatchObject({ effectiveWeight: 0 });
});

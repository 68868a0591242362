import { fakeClock, seededRandom } from "@smartstack/core/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BalanceName, DEFAULT_HASH, type HashSpec } from "../snapshot.ts";
import { type Candidate, NO_HASH, newNotes, type Picker } from "./balance.ts";
import { avalanche } from "./hash.ts";
import { BALANCERS } from "./index.ts";

interface Named extends Candidate {
  weight: number;
  active: number;
}

const named = (key: string, weight = 1, active = 0): Named => ({
  key,
  id: undefined,
  weight,
  active,
  notes: newNotes(),
});

const names = (count: number): Named[] => Array.from({ length: count }, (_, n) => named(`b${n}`));

function pickerOf(
  name: BalanceName,
  candidates: readonly Named[],
  { seed = 7, hash = {} }: { seed?: number; hash?: Partial<HashSpec> } = {},
): Picker<Named> {
  const picker = BALANCERS[name]<Named>({
    random: seededRandom(seed),
    clock: fakeClock(),
    hash: { ...DEFAULT_HASH, ...hash },
  });
  picker.update(candidates);
  return picker;
}

/** Any request's hash: different ones from call to call. */
function hashes(seed = 1): () => number {
  const random = seededRandom(seed);
  return () => Math.floor(random() * 2 ** 32);
}

function count(picker: Picker<Named>, picks: number, hash: () => number = hashes()): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let n = 0; n < picks; n++) {
    const key = picker.pick(hash())?.key ?? "none";
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
}

const ALL = Object.keys(BALANCERS) as BalanceName[];
const HASHING = ["cookie", "header", "source", "uri"] as const;
const IN_TURN = ["least_conn", "round_robin"] as const;
/** Those that divide requests by weight. */
const SHARING = ALL.filter((name) => name !== "first");

describe.each(ALL)("%s", (name) => {
  it("has nothing to pick from nothing", () => expect(pickerOf(name, []).pick(1)).toBeUndefined());

  it("picks the only one, whatever its weight", () => {
    const picker = pickerOf(name, [named("a", 0.3)]);
    for (let n = 0; n < 5; n++) expect(picker.pick(n)?.key).toBe("a");
  });

  it("picks members of the set alone, through any changes of it and of load", () => {
    const steps = fc.array(
      fc.record({ set: fc.subarray([0, 1, 2, 3, 4, 5]), weight: fc.integer({ min: 1, max: 256 }), picks: fc.nat(20) }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(steps, fc.nat(), (changes, seed) => {
        const all = names(6);
        const running: Named[] = [];
        const picker = pickerOf(name, [], { seed });
        const hash = hashes(seed);
        const load = (one: Named, by: 1 | -1): void => {
          one.active += by;
          picker.loaded?.(one, by);
        };
        for (const { set, weight, picks } of changes) {
          const members = set.map((n) => all[n] as Named);
          for (const one of members) one.weight = weight + (one.key === "b0" ? 0.5 : 0);
          picker.update(members);
          for (let n = 0; n < picks; n++) {
            const picked = picker.pick(n % 3 === 0 ? NO_HASH : hash());
            if (members.length === 0) expect(picked).toBeUndefined();
            else expect(members).toContain(picked);
            if (picked === undefined) continue;
            load(picked, 1);
            running.push(picked);
            picker.answered?.(picked, n);
            if (running.length > 8) load(running.shift() as Named, -1);
          }
        }
      }),
      { numRuns: 20 },
    );
  });
});

describe.each(SHARING)("%s", (name) => {
  it("gives each its share by weight", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 8 }),
        fc.nat(),
        (weights, seed) => {
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const picker = pickerOf(
            name,
            weights.map((weight, n) => named(`b${n}`, weight)),
            { seed, hash: { points: 128 } },
          );
          const counts = count(picker, total * 100, hashes(seed));
          for (const [n, weight] of weights.entries()) {
            const even = weight * 100;
            // A share on a ring, or by lot, is only about right.
            const slack = IN_TURN.some((exact) => exact === name) ? 0 : 0.4 * even + 40;
            expect(
              Math.abs((counts[`b${n}`] ?? 0) - even),
              `${weights} → ${JSON.stringify(counts)}`,
            ).toBeLessThanOrEqual(slack);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it("does not start all proxies at the same backend", () => {
    const starts = new Set(
      Array.from({ length: 50 }, (_, seed) => pickerOf(name, names(3), { seed }).pick(NO_HASH)?.key),
    );
    expect([...starts].sort()).toEqual(["b0", "b1", "b2"]);
  });
});

describe.each(IN_TURN)("%s", (name) => {
  it("takes equals in their order, over and over", () => {
    const picker = pickerOf(name, names(5));
    const order = Array.from({ length: 20 }, () => Number(picker.pick(NO_HASH)?.key.slice(1)));
    for (let n = 1; n < order.length; n++) expect(order[n]).toBe(((order[n - 1] as number) + 1) % 5);
  });

  it("stays fair when the set changes between picks", () => {
    const all = names(5);
    const picker = pickerOf(name, []);
    const counts: Record<string, number> = {};
    for (let n = 0; n < 500; n++) {
      picker.update(all.filter((_, index) => index !== n % 5));
      for (const [key, picks] of Object.entries(count(picker, 10))) counts[key] = (counts[key] ?? 0) + picks;
    }
    for (const { key } of all) expect(Math.abs((counts[key] ?? 0) - 1_000)).toBeLessThan(60);
  });

  it("stays fair while weights change all the time", () => {
    const [a, b] = [named("a", 100), named("b", 100)];
    const picker = pickerOf(name, [a, b]);
    const counts: Record<string, number> = {};
    for (let n = 0; n < 1_000; n++) {
      a.weight = 100 + (n % 7);
      picker.update([a, b]);
      const key = picker.pick(NO_HASH)?.key as string;
      counts[key] = (counts[key] ?? 0) + 1;
    }
    expect(Math.abs((counts.a ?? 0) - (counts.b ?? 0))).toBeLessThan(60);
  });
});

describe("round_robin", () => {
  it("spreads a heavy one's turns instead of bunching them", () => {
    const picker = pickerOf("round_robin", [named("a", 3), named("b", 1), named("c", 1)]);
    const order = Array.from({ length: 50 }, () => picker.pick(NO_HASH)?.key).join("");
    expect(order).not.toContain("aaa");
  });

  it("stays exact over many rounds", () => {
    const picker = pickerOf("round_robin", [named("a", 7), named("b", 3), named("c", 256)]);
    for (let round = 0; round < 400; round++) expect(count(picker, 266)).toEqual({ a: 7, b: 3, c: 256 });
  });
});

describe("least_conn", () => {
  it("prefers the least loaded per weight", () => {
    expect(pickerOf("least_conn", [named("a", 1, 2), named("b", 1, 1), named("c", 1, 3)]).pick(0)?.key).toBe("b");
    expect(pickerOf("least_conn", [named("a", 4, 3), named("b", 1, 1)]).pick(0)?.key).toBe("a");
  });

  it("always picks one of the least loaded, as load comes and goes", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9), { maxLength: 300 }), fc.nat(), (steps, seed) => {
        const all = Array.from({ length: 10 }, (_, n) => named(`b${n}`, 1 + (n % 4)));
        const picker = pickerOf("least_conn", all, { seed });
        for (const n of steps) {
          const ending = all[n] as Named;
          if (ending.active > 0) {
            ending.active--;
            picker.loaded?.(ending, -1);
          }
          const picked = picker.pick(NO_HASH) as Named;
          const least = Math.min(...all.map(({ active, weight }) => active / weight));
          expect(picked.active / picked.weight).toBe(least);
          picked.active++;
          picker.loaded?.(picked, 1);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("gives each its share of what stays open", () => {
    const candidates = [named("a", 1), named("b", 2), named("c", 5)];
    const picker = pickerOf("least_conn", candidates);
    for (let n = 0; n < 800; n++) {
      const picked = picker.pick(NO_HASH) as Named;
      picked.active++;
      picker.loaded?.(picked, 1);
    }
    expect(candidates.map(({ active }) => active)).toEqual([100, 200, 500]);
  });
});

describe("random", () => {
  it("never picks the one with the most to do", () => {
    const picker = pickerOf("random", [named("a", 1, 5), named("b", 1, 1), named("c", 1, 2)]);
    expect(count(picker, 3_000).a).toBeUndefined();
  });
});

describe("first", () => {
  it("picks the first until it is out", () => {
    const [a, b] = names(2) as [Named, Named];
    const picker = pickerOf("first", [a, b]);
    expect(count(picker, 10)).toEqual({ b0: 10 });
    picker.update([b]);
    expect(count(picker, 10)).toEqual({ b1: 10 });
  });
});

describe("ewma", () => {
  function timed(latencies: readonly number[]): { picker: Picker<Named>; clock: ReturnType<typeof fakeClock> } {
    const all = names(latencies.length);
    const clock = fakeClock();
    const picker = BALANCERS.ewma<Named>({ random: seededRandom(3), clock, hash: DEFAULT_HASH });
    picker.update(all);
    for (const [n, ms] of latencies.entries()) picker.answered?.(all[n] as Named, ms);
    return { picker, clock };
  }

  it("leaves the slowest out", () => expect(count(timed([10, 200, 12]).picker, 2_000).b1).toBeUndefined());

  it("forgives what was long ago", async () => {
    const { picker, clock } = timed([10, 200]);
    expect(count(picker, 100).b1).toBeUndefined();
    await clock.advance(100_000);
    expect(count(picker, 1_000).b1).toBeGreaterThan(300);
  });

  it("weighs what runs against the time it takes", () => {
    const all = [named("quick", 1, 30), named("slow", 1, 0)];
    const picker = pickerOf("ewma", all);
    picker.answered?.(all[0] as Named, 100);
    picker.answered?.(all[1] as Named, 1_000);
    expect(picker.pick(NO_HASH)?.key).toBe("slow");
  });
});

describe.each(HASHING)("%s", (name) => {
  const keys = Array.from({ length: 4_000 }, (_, n) => avalanche(n));
  const owners = (picker: Picker<Named>): string[] => keys.map((hash) => picker.pick(hash)?.key as string);

  it("sends a key where it went, in another proxy too, whatever the order of the set", () => {
    const one = owners(pickerOf(name, names(10), { seed: 1 }));
    expect(owners(pickerOf(name, names(10).reverse(), { seed: 2 }))).toEqual(one);
  });

  it("moves only the keys of the one of a hundred that leaves, and gives them back", () => {
    const all = names(100);
    const picker = pickerOf(name, all);
    const before = owners(picker);
    for (const gone of [0, 42, 99]) {
      picker.update(all.filter((_, n) => n !== gone));
      const after = owners(picker);
      const moved = before.flatMap((owner, n) => (owner === after[n] ? [] : [owner]));
      expect(new Set(moved)).toEqual(new Set([`b${gone}`]));
      expect(moved.length / keys.length).toBeLessThan(0.025);
      picker.update(all);
      expect(owners(picker)).toEqual(before);
    }
  });

  it("moves only to or from the one whose weight changes", () => {
    const all = names(10);
    const picker = pickerOf(name, all);
    const before = owners(picker);
    const changed = all[3] as Named;
    changed.weight = 2;
    picker.update(all);
    const after = owners(picker);
    for (const [n, owner] of before.entries()) if (owner !== after[n]) expect(after[n]).toBe("b3");
    expect(after.filter((owner) => owner === "b3").length).toBeGreaterThan(
      before.filter((owner) => owner === "b3").length,
    );
  });

  it("lets nobody have more than the load factor's part of an even share", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 101, max: 300 }),
        fc.nat(),
        fc.integer({ min: 1, max: 400 }),
        (loadFactor, seed, steps) => {
          const all = names(10);
          const picker = pickerOf(name, all, { seed, hash: { loadFactor } });
          const hash = hashes(seed);
          for (let n = 1; n <= steps; n++) {
            // Everybody wants the same few.
            const picked = picker.pick(avalanche(hash() % 3)) as Named;
            picked.active++;
            picker.loaded?.(picked, 1);
            expect(picked.active).toBeLessThanOrEqual(Math.ceil((n * loadFactor) / 1_000));
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it("retries each key with the one that is next, always the same", () => {
    const all = names(10);
    const picker = pickerOf(name, all);
    for (const hash of keys.slice(0, 200)) {
      const dead = picker.pick(hash) as Named;
      const next = picker.pickOther?.(hash, (one) => one === dead);
      expect(next).not.toBe(dead);
      expect(picker.pickOther?.(hash, (one) => one === dead)).toBe(next);
    }
    expect(picker.pickOther?.(1, () => true)).toBeUndefined();
  });

  it("spreads requests without a key", () => {
    expect(Object.values(count(pickerOf(name, names(4)), 40, () => NO_HASH))).toEqual([10, 10, 10, 10]);
  });
});

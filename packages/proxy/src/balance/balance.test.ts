import { seededRandom } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import type { Candidate } from "./balance.ts";
import { BALANCERS } from "./index.ts";

interface Named extends Candidate {
  readonly name: string;
  active: number;
}

const random = seededRandom(7);
const named = (name: string, weight = 1, active = 0): Named => ({ name, weight, active, credit: random() });

describe.each(Object.entries(BALANCERS))("%s", (_, balance) => {
  const picks = (candidates: readonly Named[], count: number): Map<string, number> => {
    const counts = new Map(candidates.map(({ name }) => [name, 0]));
    for (let n = 0; n < count; n++) {
      const { name } = balance(candidates) as Named;
      counts.set(name, (counts.get(name) as number) + 1);
    }
    return counts;
  };

  it("has nothing to pick from nothing", () => expect(balance([])).toBeUndefined());

  it("picks the only one", () => expect(balance([named("a")])?.name).toBe("a"));

  it("spreads equals evenly, each once a round", () => {
    const candidates = ["a", "b", "c", "d"].map((name) => named(name));
    for (let round = 0; round < 10; round++) expect([...picks(candidates, 4).values()]).toEqual([1, 1, 1, 1]);
  });

  it("follows the weights", () => {
    const counts = picks([named("a", 5), named("b", 3), named("c", 2), named("d", 256)], 2_660);
    expect(Object.fromEntries(counts)).toEqual({ a: 50, b: 30, c: 20, d: 2_560 });
  });

  it("spreads a heavy one's turns instead of bunching them", () => {
    const candidates = [named("a", 3), named("b", 1), named("c", 1)];
    const names = Array.from({ length: 50 }, () => balance(candidates)?.name).join("");
    expect(names).not.toContain("aaa");
  });

  it("stays fair when the set changes between picks", () => {
    const all = ["a", "b", "c", "d", "e"].map((name) => named(name));
    const counts = new Map<string, number>();
    for (let n = 0; n < 5_000; n++) {
      const { name } = balance(all.filter((_, index) => index !== Math.floor(n / 10) % 5)) as Named;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(60);
  });

  it("does not start all proxies at the same backend", () => {
    const firsts = new Set(Array.from({ length: 50 }, () => balance(["a", "b", "c"].map((name) => named(name)))?.name));
    expect([...firsts].sort()).toEqual(["a", "b", "c"]);
  });
});

describe("least_conn", () => {
  const pick = BALANCERS.least_conn;

  it("prefers the least loaded per weight", () => {
    expect(pick([named("a", 1, 2), named("b", 1, 1), named("c", 1, 3)])?.name).toBe("b");
    expect(pick([named("a", 4, 3), named("b", 1, 1)])?.name).toBe("a");
  });

  it("gives each its share of what stays open", () => {
    const candidates = [named("a", 1), named("b", 2), named("c", 5)];
    for (let n = 0; n < 800; n++) (pick(candidates) as Named).active++;
    expect(candidates.map(({ active }) => active)).toEqual([100, 200, 500]);
  });
});

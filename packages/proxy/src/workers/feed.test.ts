import { describe, expect, it } from "vitest";
import { serviceSpec } from "../testing/bench.ts";
import { applyMessage } from "./feed.ts";

const named = (...names: readonly string[]) => names.map((name) => serviceSpec({ name }));

describe("what a worker is told", () => {
  it("is all of it at first", () => {
    const services = named("a", "b");
    expect(applyMessage(undefined, { revision: 3, services })).toEqual({
      kind: "apply",
      revision: 3,
      changed: services,
      names: ["a", "b"],
    });
  });

  it("is then only what changed", () => {
    const before = { revision: 1, services: named("a", "b") };
    const [a, b] = named("a", "b");
    const changed = { ...serviceSpec({ name: "b" }), stale: true };
    expect(applyMessage(before, { revision: 2, services: [a, b].flatMap((spec) => spec ?? []) })).toEqual({
      kind: "apply",
      revision: 2,
      changed: [],
    });
    expect(applyMessage(before, { revision: 2, services: [...named("a"), changed] }).changed).toEqual([changed]);
  });

  it("holds what the whole process is limited to, each time", () => {
    const limits = { clientsMax: 9, shedLagMs: 100 };
    const before = { revision: 1, services: named("a"), ...limits };
    expect(applyMessage(before, { ...before, revision: 2 })).toMatchObject(limits);
    expect(applyMessage(before, { revision: 2, services: before.services })).not.toHaveProperty("shedLagMs");
  });

  it("names all when one came, went or moved", () => {
    const before = { revision: 1, services: named("a", "b") };
    for (const names of [["a"], ["a", "b", "c"], ["b", "a"], ["a", "c"]]) {
      const { changed, names: told } = applyMessage(before, { revision: 2, services: named(...names) });
      expect(told).toEqual(names);
      expect(changed.map(({ name }) => name)).toEqual(names.filter((name) => name === "c"));
    }
  });
});

import { describe, expect, it } from "vitest";
import { liveness } from "./liveness.ts";

const at = (pulse: string) => new Map([["n", { text: "", boot: "b", pulse }]]);
const lives = (nodes: ReadonlySet<string>): boolean => nodes.has("n");

describe("liveness", () => {
  it("takes a node for dead once its counter stood still for a ttl", () => {
    const alive = liveness(3_000, 2_000);
    expect(lives(alive.observe(at("1"), 0))).toBe(true);
    expect(lives(alive.observe(at("1"), 1_000))).toBe(true);
    expect(lives(alive.observe(at("2"), 1_000))).toBe(true);
    expect(lives(alive.observe(at("2"), 1_000))).toBe(true);
    expect(lives(alive.observe(at("2"), 1_000))).toBe(true);
    expect(lives(alive.observe(at("2"), 1_000))).toBe(false);
    expect(lives(alive.observe(at("3"), 1_000))).toBe(true);
  });

  it("does not count a time in which it did not look itself", () => {
    const alive = liveness(3_000, 2_000);
    alive.observe(at("1"), 0);
    expect(lives(alive.observe(at("1"), 3_600_000))).toBe(true);
  });
});

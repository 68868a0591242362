import { describe, expect, it } from "vitest";
import { applyBatch, type Entry, NO_ENTRIES } from "./update.ts";

const instance = (id: string, port = 1): Entry => ({ kind: "instance", id, instance: { host: "h", port } });
const node = (id: string, boot = "b"): Entry => ({ kind: "node", id, node: { node: id, boot, since: 0, host: "h" } });

describe("applyBatch", () => {
  it("applies a batch in its order and leaves the given state alone", () => {
    const first = applyBatch(NO_ENTRIES, [{ type: "reset", entries: [instance("a"), node("n")] }]);
    const second = applyBatch(first, [
      { type: "drop", kind: "instance", id: "a" },
      { type: "put", entry: instance("a", 2) },
      { type: "put", entry: instance("b") },
      { type: "drop", kind: "node", id: "n" },
    ]);
    expect([...second.instances]).toEqual([
      ["a", { host: "h", port: 2 }],
      ["b", { host: "h", port: 1 }],
    ]);
    expect(second.nodes.size).toBe(0);
    expect([...first.instances.keys()]).toEqual(["a"]);
    expect([...first.nodes.keys()]).toEqual(["n"]);
    expect(NO_ENTRIES.instances.size).toBe(0);
  });

  it("forgets everything at a reset, also in the middle of a batch", () => {
    const state = applyBatch(NO_ENTRIES, [
      { type: "put", entry: instance("a") },
      { type: "put", entry: node("old") },
      { type: "reset", entries: [node("n")] },
      { type: "put", entry: instance("b") },
    ]);
    expect([...state.instances.keys()]).toEqual(["b"]);
    expect([...state.nodes.keys()]).toEqual(["n"]);
  });

  it("keeps instances and nodes of the same id apart, and does not mind an absent drop", () => {
    const state = applyBatch(NO_ENTRIES, [
      { type: "put", entry: instance("x") },
      { type: "put", entry: node("x") },
      { type: "drop", kind: "instance", id: "x" },
      { type: "drop", kind: "instance", id: "nobody" },
    ]);
    expect(state.instances.size).toBe(0);
    expect([...state.nodes.keys()]).toEqual(["x"]);
  });
});

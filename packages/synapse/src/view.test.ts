import type { Batch, Entry, Instance } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { type Fact, initialView, knownInstances, nextView, type ServiceView, type ViewInput } from "./view.ts";

const HOLD_MS = 300_000;
const FALL_MS = 3_000;

function run(view: ServiceView, input: ViewInput, nowMs = 0): { view: ServiceView; facts: readonly Fact[] } {
  return nextView(view, input, { nowMs, holdMs: HOLD_MS, fallMs: FALL_MS });
}

function instance(id: string, more: Partial<Instance> = {}): Entry {
  const port = 8_000 + Number(/\d+/.exec(id)?.[0] ?? 0);
  return { kind: "instance", id, instance: { host: "10.0.0.1", port, node: "n1", boot: "b1", ...more } };
}

function foreign(id: string): Entry {
  return { kind: "instance", id, instance: { host: "10.0.0.9", port: 9_000 + Number(id.slice(1)) } };
}

function node(name: string, boot: string): Entry {
  return { kind: "node", id: name, node: { node: name, boot, since: 0, host: name } };
}

function reset(...entries: Entry[]): ViewInput {
  return { type: "batch", batch: [{ type: "reset", entries }] };
}

function batch(...updates: Batch): ViewInput {
  return { type: "batch", batch: updates };
}

function after(...inputs: ViewInput[]): ServiceView {
  return inputs.reduce((view, input) => run(view, input).view, initialView(0));
}

const put = (entry: Entry) => ({ type: "put", entry }) as const;
const drop = (kind: Entry["kind"], id: string) => ({ type: "drop", kind, id }) as const;
const known = (view: ServiceView): string[] => [...knownInstances(view).keys()].sort();
const suspects = (view: ServiceView): string[] => [...view.suspects.keys()].sort();

const TWO = reset(node("n1", "b1"), instance("i1"), instance("i2"));

interface Case {
  readonly name: string;
  readonly given: readonly ViewInput[];
  readonly when: ViewInput;
  readonly known: readonly string[];
  readonly suspects: readonly string[];
}

const CASES: readonly Case[] = [
  {
    name: "an instance gone while its node's entry stands was withdrawn: out at once",
    given: [TWO],
    when: batch(drop("instance", "i1")),
    known: ["i2"],
    suspects: [],
  },
  {
    name: "withdrawn down to the last one",
    given: [TWO],
    when: batch(drop("instance", "i1"), drop("instance", "i2")),
    known: [],
    suspects: [],
  },
  {
    name: "withdrawn while the watch was away",
    given: [TWO, { type: "unread", reason: "gone" }],
    when: reset(node("n1", "b1"), instance("i2")),
    known: ["i2"],
    suspects: [],
  },
  {
    name: "instances and node entry that vanish together are suspect",
    given: [TWO],
    when: batch(drop("instance", "i1"), drop("instance", "i2"), drop("node", "n1")),
    known: ["i1", "i2"],
    suspects: ["i1", "i2"],
  },
  {
    name: "the order within a batch does not matter",
    given: [TWO],
    when: batch(drop("node", "n1"), drop("instance", "i1")),
    known: ["i1", "i2"],
    suspects: ["i1"],
  },
  {
    name: "an empty registry after a reconnect makes suspects",
    given: [TWO, { type: "unread", reason: "gone" }],
    when: reset(),
    known: ["i1", "i2"],
    suspects: ["i1", "i2"],
  },
  {
    name: "a node that came back in another boot without the instance makes a suspect",
    given: [TWO],
    when: reset(node("n1", "b2"), instance("i2", { boot: "b2" })),
    known: ["i1", "i2"],
    suspects: ["i1"],
  },
  {
    name: "a suspect whose node comes back in the same boot without it was withdrawn meanwhile",
    given: [TWO, reset()],
    when: reset(node("n1", "b1"), instance("i2")),
    known: ["i2"],
    suspects: [],
  },
  {
    name: "a suspect that is announced again is normal again",
    given: [TWO, reset()],
    when: reset(node("n1", "b1"), instance("i1"), instance("i2")),
    known: ["i1", "i2"],
    suspects: [],
  },
  {
    name: "a take-over and a withdrawal in one batch: the last document's boot counts",
    given: [TWO],
    when: batch(
      put(instance("i1", { boot: "b2" })),
      put(instance("i2", { boot: "b2" })),
      put(node("n1", "b2")),
      drop("instance", "i1"),
    ),
    known: ["i2"],
    suspects: [],
  },
  {
    name: "a suspect leaves when its address is announced under another id",
    given: [TWO, reset()],
    when: batch(put(node("n1", "b2")), put(instance("x1", { boot: "b2" }))),
    known: ["i2", "x1"],
    suspects: ["i2"],
  },
  {
    name: "a suspect leaves when its address is announced under another service",
    given: [TWO, reset()],
    when: { type: "claimed", owners: new Map([["10.0.0.1:8001", "other"]]) },
    known: ["i2"],
    suspects: ["i2"],
  },
  {
    name: "the same id at the same address in another service claims nothing",
    given: [TWO, reset()],
    when: { type: "claimed", owners: new Map([["10.0.0.1:8001", "i1"]]) },
    known: ["i1", "i2"],
    suspects: ["i1", "i2"],
  },
  {
    name: "without node entries a missing entry is out",
    given: [reset(foreign("f1"), foreign("f2"))],
    when: batch(drop("instance", "f1")),
    known: ["f2"],
    suspects: [],
  },
  {
    name: "without node entries an empty answer is held",
    given: [reset(foreign("f1"), foreign("f2"))],
    when: reset(),
    known: ["f1", "f2"],
    suspects: ["f1", "f2"],
  },
  {
    name: "without node entries what is still missing when the answer is no longer empty is out",
    given: [reset(foreign("f1"), foreign("f2")), reset()],
    when: reset(foreign("f2")),
    known: ["f2"],
    suspects: [],
  },
  {
    name: "a lost watch removes nothing",
    given: [TWO],
    when: { type: "unread", reason: "connection refused" },
    known: ["i1", "i2"],
    suspects: [],
  },
  {
    name: "cached instances are suspect",
    given: [],
    when: { type: "cached", instances: new Map([["i1", { host: "h", port: 1 }]]) },
    known: ["i1"],
    suspects: ["i1"],
  },
  {
    name: "a first answer settles what was cached",
    given: [
      {
        type: "cached",
        instances: new Map([
          ["i1", { host: "10.0.0.1", port: 8_001, node: "n1", boot: "b1" }],
          ["i2", { host: "10.0.0.1", port: 8_002, node: "n1", boot: "b1" }],
          ["i3", { host: "10.0.0.3", port: 8_003, node: "n3", boot: "b3" }],
        ]),
      },
    ],
    when: reset(node("n1", "b1"), instance("i1")),
    known: ["i1", "i3"],
    suspects: ["i3"],
  },
  {
    name: "a service discovered elsewhere keeps its pool until the first answer from there",
    given: [TWO],
    when: { type: "moved" },
    known: ["i1", "i2"],
    suspects: [],
  },
  {
    name: "the first answer from elsewhere replaces the pool",
    given: [TWO, { type: "moved" }],
    when: reset(node("n9", "b9"), instance("i9", { node: "n9", boot: "b9" })),
    known: ["i9"],
    suspects: [],
  },
];

describe("nextView", () => {
  it.each(CASES)("$name", ({ given, when, known: expected, suspects: doubtful }) => {
    const { view } = run(after(...given), when);
    expect(known(view)).toEqual(expected);
    expect(suspects(view)).toEqual(doubtful);
  });

  it("says what changed, with reasons", () => {
    const { facts } = run(after(TWO), batch(drop("instance", "i1"), put(instance("i3"))));
    expect(facts.map(({ kind, id, reason }) => [kind, id, reason])).toEqual([
      ["removed", "i1", "withdrawn by n1"],
      ["added", "i3", "announced"],
    ]);
  });

  it("replaces a document, and names a change of state", () => {
    const step = run(after(TWO), batch(put(instance("i1", { state: "draining", weight: 3 }))));
    expect(step.view.entries.instances.get("i1")).toMatchObject({ state: "draining", weight: 3 });
    expect(step.facts.map(({ kind, id }) => [kind, id])).toEqual([["state", "i1"]]);
  });

  it("takes a new address of the same id for another backend", () => {
    const { facts } = run(after(TWO), batch(put(instance("i1", { port: 9_999 }))));
    expect(facts.map(({ kind, instance: { port } }) => [kind, port])).toEqual([
      ["removed", 8_001],
      ["added", 9_999],
    ]);
  });

  it("lets a suspect go when it stays down for the time of its failed probes, and not before", () => {
    let view = run(after(TWO), reset(), 1_000).view;
    view = run(view, { type: "health", id: "i1", up: false }, 2_000).view;
    expect(known(run(view, { type: "tick" }, 4_999).view)).toEqual(["i1", "i2"]);
    const { view: later, facts } = run(view, { type: "tick" }, 5_000);
    expect(known(later)).toEqual(["i2"]);
    expect(facts[0]?.reason).toContain("its probes fail");
  });

  it("keeps a suspect that recovers before its probes have failed for good", () => {
    let view = run(after(TWO), reset(), 1_000).view;
    view = run(view, { type: "health", id: "i1", up: false }, 2_000).view;
    view = run(view, { type: "health", id: "i1", up: true }, 3_000).view;
    expect(known(run(view, { type: "tick" }, 60_000).view)).toEqual(["i1", "i2"]);
  });

  it("keeps an instance that is down but registered", () => {
    const view = run(after(TWO), { type: "health", id: "i1", up: false }).view;
    expect(known(run(view, { type: "tick" }, HOLD_MS * 2).view)).toEqual(["i1", "i2"]);
  });

  it("forgets that an instance was down when it moves to another address", () => {
    let view = run(after(TWO), { type: "health", id: "i1", up: false }).view;
    view = run(view, batch(put(instance("i1", { port: 9_999 })))).view;
    view = run(view, reset(), 1_000).view;
    expect(known(run(view, { type: "tick" }, 60_000).view)).toEqual(["i1", "i2"]);
  });

  it("counts a doubt that began before it was suspect from the moment it is suspect", () => {
    let view = run(after(TWO), { type: "health", id: "i1", up: false }, 0).view;
    view = run(view, reset(), 100_000).view;
    expect(known(run(view, { type: "tick" }, 102_999).view)).toEqual(["i1", "i2"]);
    expect(known(run(view, { type: "tick" }, 103_000).view)).toEqual(["i2"]);
  });

  it("lets suspects go after hold", () => {
    const view = run(after(TWO), reset(), 1_000).view;
    expect(known(run(view, { type: "tick" }, 1_000 + HOLD_MS - 1).view)).toEqual(["i1", "i2"]);
    expect(known(run(view, { type: "tick" }, 1_000 + HOLD_MS).view)).toEqual([]);
  });

  it("does not renew a hold with each further batch", () => {
    let view = run(after(TWO), reset(), 0).view;
    view = run(view, reset(), HOLD_MS - 1).view;
    expect(known(run(view, { type: "tick" }, HOLD_MS).view)).toEqual([]);
  });

  it("ends no hold while the registry cannot be read, and begins it anew afterwards", () => {
    let view = run(after(TWO), reset(), 0).view;
    view = run(view, { type: "unread", reason: "down" }, 1_000).view;
    view = run(view, { type: "tick" }, HOLD_MS * 10).view;
    expect(known(view)).toEqual(["i1", "i2"]);
    view = run(view, reset(), HOLD_MS * 10).view;
    expect(known(run(view, { type: "tick" }, HOLD_MS * 11 - 1).view)).toEqual(["i1", "i2"]);
    expect(known(run(view, { type: "tick" }, HOLD_MS * 11).view)).toEqual([]);
  });

  it("is stale from the first moment it could not be read, whatever the later reasons", () => {
    let view = run(after(TWO), { type: "unread", reason: "first" }, 5).view;
    view = run(view, { type: "unread", reason: "second" }, 9).view;
    expect(view.unread).toEqual({ sinceMs: 5, reason: "second" });
    expect(run(view, TWO, 10).view.unread).toBeUndefined();
  });
});

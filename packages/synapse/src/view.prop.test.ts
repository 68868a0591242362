import { applyBatch, type Batch, type Entry, NO_ENTRIES, type ServiceEntries } from "@smartstack/core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { initialView, knownInstances, nextView } from "./view.ts";

/** A world of three nodes that each run up to four instances, and of what may happen to them. */
const NODES = ["n1", "n2", "n3"];
type Happening =
  | { readonly what: "start" | "withdraw"; readonly node: string; readonly slot: number }
  | { readonly what: "die" | "restart" | "return"; readonly node: string }
  | { readonly what: "disconnect" };

const node = fc.constantFrom(...NODES);
const slot = fc.integer({ min: 0, max: 3 });
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ what: fc.constantFrom("start" as const, "withdraw" as const), node, slot }),
  fc.record({ what: fc.constantFrom("die" as const, "restart" as const, "return" as const), node }),
  fc.constant({ what: "disconnect" as const }),
);

interface Host {
  boot: number;
  /** Its lease is there. */
  alive: boolean;
  readonly slots: Set<number>;
}

function entriesOf(name: string, host: Host): Entry[] {
  if (!host.alive) return [];
  const boot = `${name}-${host.boot}`;
  const instances = [...host.slots].map((at): Entry => {
    const instance = { host: `10.0.${NODES.indexOf(name)}.1`, port: 8_000 + at, node: name, boot };
    return { kind: "instance", id: `${name}-${at}`, instance };
  });
  return [...instances, { kind: "node", id: name, node: { node: name, boot, since: 0, host: name } }];
}

/** The updates that lead from one truth to another, as one batch. */
function difference(before: ServiceEntries, truth: ServiceEntries, order: readonly Entry[]): Batch {
  const drops = [
    ...[...before.nodes.keys()].filter((id) => !truth.nodes.has(id)).map((id) => ["node", id] as const),
    ...[...before.instances.keys()].filter((id) => !truth.instances.has(id)).map((id) => ["instance", id] as const),
  ].map(([kind, id]) => ({ type: "drop", kind, id }) as const);
  return [...drops, ...order.map((entry) => ({ type: "put", entry }) as const)];
}

it("never removes what vanished with its node, and always removes what was withdrawn", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(happening, fc.boolean()), { maxLength: 60 }), (story) => {
      const hosts = new Map(NODES.map((name) => [name, { boot: 1, alive: true, slots: new Set<number>() } as Host]));
      // What must still be offered though its registration is gone.
      const lost = new Set<string>();
      let view = initialView(0);
      let seen = NO_ENTRIES;
      let away = true;
      for (const [event, watched] of story) {
        if (event.what === "disconnect") {
          away = true;
          view = nextView(view, { type: "unread", reason: "cut" }, { nowMs: 0, holdMs: 1, fallMs: 1 }).view;
          continue;
        }
        happen(event, hosts);
        // Changes that are not watched meet the next batch together, as a reset if the watch was away.
        if (!watched) continue;
        const entries = [...hosts].flatMap(([name, host]) => entriesOf(name, host));
        const truth = applyBatch(NO_ENTRIES, [{ type: "reset", entries }]);
        for (const id of [...seen.instances.keys(), ...lost]) {
          const name = id.slice(0, 2);
          const boot = (seen.instances.get(id) ?? knownInstances(view).get(id))?.boot;
          if (truth.instances.has(id) || truth.nodes.get(name)?.boot === boot) lost.delete(id);
          else lost.add(id);
        }
        const batch: Batch = away ? [{ type: "reset", entries }] : difference(seen, truth, entries);
        view = nextView(view, { type: "batch", batch }, { nowMs: 0, holdMs: 1, fallMs: 1 }).view;
        away = false;
        seen = truth;
        const expected = [...truth.instances.keys(), ...lost].sort();
        expect([...knownInstances(view).keys()].sort()).toEqual(expected);
        expect([...view.suspects.keys()].sort()).toEqual([...lost].sort());
      }
    }),
    { numRuns: 500 },
  );
});

function happen(event: Exclude<Happening, { what: "disconnect" }>, hosts: Map<string, Host>): void {
  const host = hosts.get(event.node);
  if (host === undefined) return;
  if (event.what === "start" && host.alive) host.slots.add(event.slot);
  else if (event.what === "withdraw") host.slots.delete(event.slot);
  else if (event.what === "die") host.alive = false;
  else if (event.what === "return") host.alive = true;
  else if (event.what === "restart") {
    // The host rebooted: another nerve, and none of the instances that ran.
    host.boot++;
    host.alive = true;
    host.slots.clear();
  }
}

import { hostname } from "node:os";
import type { Clock, EventBus, Instance, Random, Readiness, Registry } from "@smartstack/core";
import { heldUp } from "./all-down.ts";
import { type Announcer, startAnnouncer } from "./announcer.ts";
import type { NerveConfig } from "./config.ts";
import type { DockerSource } from "./docker-source.ts";
import { type EntryFacts, keepsEntry, withdrawalReason } from "./entries.ts";
import { bootNonce } from "./node-name.ts";
import { type Desired, recordsByKey } from "./plan.ts";
import { type Registration, type Registrations, recordOf } from "./registrations.ts";
import type { InstanceStates } from "./states.ts";

export interface VoiceDeps {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly table: Registrations;
  readonly states: InstanceStates;
  readonly source: () => DockerSource | undefined;
  /** As it is now. */
  readonly config: () => Pick<NerveConfig, "instance_id" | "on_all_down">;
}

/** What this node says in the registry: nothing until its name is known, then the registrations that are up, and those that are held up. */
export interface NodeVoice {
  begin(node: string): void;
  /** Why it cannot begin yet. */
  wait(reason: string): void;
  node(): string | undefined;
  wake(): void;
  entries(): ReadonlyMap<string, Instance>;
  facts(): EntryFacts;
  /** Announced on though its checks fail. */
  held(): ReadonlySet<string>;
  readiness(): Readiness;
  stop: Announcer["stop"];
}

export function nodeVoice(deps: VoiceDeps): NodeVoice {
  const { table, states, clock } = deps;
  const boot = bootNonce(deps.random);
  let node: string | undefined;
  let announcer: Announcer | undefined;
  let waiting = "waits for Docker to tell the node's name";

  const entries = (): ReadonlyMap<string, Instance> => announcer?.entries() ?? new Map();
  const facts = (): EntryFacts => ({ entries: entries(), registrations: table.all(), source: deps.source() });
  const held = (): ReadonlyMap<string, readonly Registration[]> =>
    deps.config().on_all_down === "keep" ? heldUp([...table.all().values()]) : new Map();
  const tell = heldTeller(deps.events);
  const desired = (owner: string): Desired => {
    const known = { name: deps.config().instance_id ?? owner, node: owner, boot };
    const up = [...table.all().values()].filter((registration) => registration.health === "up");
    const kept = held();
    tell(kept);
    const records = [...up, ...[...kept.values()].flat()].map(({ key, offer }) =>
      recordOf(offer, { ...known, ...states.of(key) }),
    );
    const now = facts();
    return { records: recordsByKey(records), keeps: (key) => keepsEntry(key, now) };
  };
  return {
    begin(name) {
      node = name;
      announcer = startAnnouncer({
        registry: deps.registry,
        owner: { node: name, boot, since: clock.now(), host: hostname() },
        clock,
        random: deps.random,
        events: deps.events,
        desired: () => desired(name),
        withdrawalReason: (key) => withdrawalReason(key, facts()),
        onDropped: states.withdrawn,
        adopt: states.adopt,
      });
    },
    wait(reason) {
      waiting = reason;
    },
    node: () => node,
    wake: () => announcer?.wake(),
    entries,
    facts,
    held: () => new Set([...held().values()].flat().map(({ key }) => key)),
    readiness: () => announcer?.readiness() ?? { part: "announce", ready: false, reason: waiting },
    stop: async (mode, drops) => announcer?.stop(mode, drops),
  };
}

/** One event for each service that begins to be held, and one when that ends. */
function heldTeller(events: EventBus): (held: ReadonlyMap<string, readonly Registration[]>) => void {
  let before: ReadonlySet<string> = new Set();
  return (held) => {
    for (const [service, instances] of held)
      if (!before.has(service)) events.publish("service.held", { service, instances: instances.length });
    for (const service of before) if (!held.has(service)) events.publish("service.released", { service });
    before = new Set(held.keys());
  };
}

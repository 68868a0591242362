import { hostname } from "node:os";
import type { Clock, EventBus, Instance, Random, Readiness, Registry } from "@smartstack/core";
import { type Announcer, startAnnouncer } from "./announcer.ts";
import type { DockerSource } from "./docker-source.ts";
import { type EntryFacts, keepsEntry, withdrawalReason } from "./entries.ts";
import { bootNonce } from "./node-name.ts";
import { type Desired, recordsByKey } from "./plan.ts";
import { type Registrations, recordOf } from "./registrations.ts";
import type { InstanceStates } from "./states.ts";

export interface VoiceDeps {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly table: Registrations;
  readonly states: InstanceStates;
  readonly source: () => DockerSource | undefined;
  /** `name` in the documents; undefined: the node. */
  readonly name: () => string | undefined;
}

/** What this node says in the registry: nothing until its name is known, then the registrations that are up. */
export interface NodeVoice {
  begin(node: string): void;
  /** Why it cannot begin yet. */
  wait(reason: string): void;
  node(): string | undefined;
  wake(): void;
  entries(): ReadonlyMap<string, Instance>;
  facts(): EntryFacts;
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
  const desired = (owner: string): Desired => {
    const known = { name: deps.name() ?? owner, node: owner, boot };
    const up = [...table.all().values()].filter((registration) => registration.health === "up");
    const records = up.map(({ key, offer }) => recordOf(offer, { ...known, ...states.of(key) }));
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
    readiness: () => announcer?.readiness() ?? { part: "announce", ready: false, reason: waiting },
    stop: async (mode, drops) => announcer?.stop(mode, drops),
  };
}

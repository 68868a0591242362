import { hostname } from "node:os";
import type { Clock, EventBus, Instance, Random, Readiness, Registry } from "@smartstack/core";
import { heldUp, holdings } from "./all-down.ts";
import { type Announcer, startAnnouncer } from "./announcer.ts";
import type { Scope } from "./changes.ts";
import type { NerveConfig } from "./config.ts";
import type { DockerSource } from "./docker-source.ts";
import { type EntryFacts, keepsEntry, withdrawalReason } from "./entries.ts";
import { keyGroups } from "./key-groups.ts";
import { bootNonce } from "./node-name.ts";
import { type Desired, entryPlace } from "./plan.ts";
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
  /** What is desired at these keys may have changed. */
  changed(keys: readonly string[]): void;
  /** What is known of a container, by its full id, has changed. */
  containerChanged(id: string): void;
  allChanged(): void;
  entries(): ReadonlyMap<string, Instance>;
  /** Whether it lies in the registry; undefined while that is not known. */
  announced(key: string): boolean | undefined;
  facts(): EntryFacts;
  fenced: Announcer["fenced"];
  /** Why the registry does not take what shall lie at this key. */
  refusal(key: string): string | undefined;
  /** Announced on though its checks fail. */
  held(): ReadonlySet<string>;
  readiness(): Readiness;
  stop: Announcer["stop"];
}

const NO_ENTRIES: ReadonlyMap<string, Instance> = new Map();

export function nodeVoice(deps: VoiceDeps): NodeVoice {
  const { table, states, clock } = deps;
  const boot = bootNonce(deps.random);
  let node: string | undefined;
  let announcer: Announcer | undefined;
  let waiting = "waits for Docker to tell the node's name; with docker.node it would not have to";

  const entries = (): ReadonlyMap<string, Instance> => announcer?.entries() ?? NO_ENTRIES;
  const facts = (): EntryFacts => ({ entries: entries(), registrations: table.all(), source: deps.source() });
  const heldOf = (service: string): readonly Registration[] =>
    deps.config().on_all_down === "keep" ? heldUp(table.ofService(service)) : [];
  const held = holdings(deps.events);
  /** Left alone until more is known of their containers, by the first 12 digits of those. */
  const undecided = keyGroups<string>();

  const keysIn = (scope: Scope): ReadonlySet<string> => {
    const keys = new Set(scope === "all" ? [...table.all().keys(), ...entries().keys()] : scope);
    const services =
      scope === "all" ? [...table.services(), ...held.services()] : [...keys].map((key) => entryPlace(key).service);
    for (const service of new Set(services)) {
      const now = heldOf(service).map(({ key }) => key);
      for (const key of held.hold(service, now)) keys.add(key);
    }
    return keys;
  };
  const keeps = (key: string, now: EntryFacts): boolean => {
    const kept = keepsEntry(key, now);
    const container = now.entries.get(key)?.container;
    if (kept && container !== undefined) undecided.add(container, key);
    return kept;
  };
  const desired = (owner: string, scope: Scope): Desired => {
    const known = { name: deps.config().instance_id ?? owner, node: owner, boot };
    const now = facts();
    if (scope === "all") undecided.clear();
    return {
      keys: keysIn(scope),
      record(key) {
        const registration = table.all().get(key);
        if (registration === undefined) return undefined;
        const { health, offer } = registration;
        if (health !== "up" && !held.has(offer.service, key)) return undefined;
        return recordOf(offer, { ...known, ...states.of(key) });
      },
      keeps: (key) => keeps(key, now),
    };
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
        desired: (scope) => desired(name, scope),
        withdrawalReason: (key) => withdrawalReason(key, facts()),
        onDropped: states.withdrawn,
        adopt: states.adopt,
      });
    },
    wait(reason) {
      waiting = reason;
    },
    node: () => node,
    changed: (keys) => announcer?.changed.mark(keys),
    containerChanged: (id) => announcer?.changed.mark(undecided.of(id.slice(0, 12))),
    allChanged: () => announcer?.changed.markAll(),
    entries,
    announced: (key) => announcer?.entries()?.has(key),
    facts,
    fenced: () => announcer?.fenced(),
    refusal: (key) => announcer?.refusal(key),
    held: () => new Set([...table.services()].flatMap((service) => heldOf(service).map(({ key }) => key))),
    readiness: () => announcer?.readiness() ?? { part: "announce", ready: false, reason: waiting },
    stop: async (mode, drops) => announcer?.stop(mode, drops),
  };
}

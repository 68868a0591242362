import type { Clock } from "@smartstack/core";
import type { ContainerFacts } from "./containers.ts";
import { keyGroups } from "./key-groups.ts";
import {
  afterEvent,
  afterInspect,
  type ContainerEvent,
  decideEarly,
  type EarlyEvent,
  LIFECYCLE_START,
  type Lifecycle,
  outReason,
  remember,
} from "./lifecycle.ts";

/** Everything known of one container. */
export interface Tracked {
  readonly id: string;
  /** Undefined until the first inspect. */
  readonly facts: ContainerFacts | undefined;
  readonly lifecycle: Lifecycle;
  /** What came before the first inspect; empty since. */
  readonly early: readonly EarlyEvent[];
  /** Monotonic: when the request began whose answer `facts` are; when the last event came. */
  readonly factsMs: number;
  readonly eventMs: number;
  /** The last inspect failed; what is known may be old. */
  readonly problem: string | undefined;
}

export interface ContainerTable {
  all(): ReadonlyMap<string, Tracked>;
  /** By the first 12 digits of its id, as documents name it. */
  find(shortId: string): Tracked | undefined;
  /** Those that use this one's network, by their last inspect. */
  usersOf(id: string): Iterable<string>;
  /** It exists; nothing more is known. */
  add(id: string): void;
  event(event: ContainerEvent): void;
  /** `beganMs`: when the request was sent. Answers that are older than what is known change nothing. */
  facts(facts: ContainerFacts, beganMs: number): void;
  problem(id: string, problem: string): void;
  remove(id: string): void;
}

/** The containers by full id; the rules are in lifecycle.ts. `onChange` is called after each change of one. */
export function containerTable(clock: Clock, onChange: (id: string) => void): ContainerTable {
  const table = new Map<string, Tracked>();
  const ids = new Map<string, string>();
  const users = keyGroups<string>();
  const forgetHost = (id: string): void => {
    const host = hostIdOf(table.get(id));
    if (host !== undefined) users.remove(host, id);
  };
  const store = (tracked: Tracked): void => {
    forgetHost(tracked.id);
    const host = hostIdOf(tracked);
    if (host !== undefined) users.add(host, tracked.id);
    table.set(tracked.id, tracked);
    ids.set(shortId(tracked.id), tracked.id);
  };
  const fresh = (id: string): Tracked => ({
    id,
    facts: undefined,
    lifecycle: LIFECYCLE_START,
    early: [],
    factsMs: Number.NEGATIVE_INFINITY,
    eventMs: Number.NEGATIVE_INFINITY,
    problem: undefined,
  });
  const change = (id: string, update: (now: Tracked) => Tracked): void => {
    store(update(table.get(id) ?? fresh(id)));
    onChange(id);
  };
  return {
    all: () => table,
    usersOf: users.of,
    find: (short) => table.get(ids.get(short) ?? ""),
    add(id) {
      if (!table.has(id)) store(fresh(id));
    },
    event(event) {
      const nowMs = clock.monotonic();
      change(event.container, (now) => ({
        ...now,
        lifecycle: afterEvent(now.lifecycle, event, now.facts, nowMs),
        early: isInspected(now.facts) ? [] : remember(now.early, event, nowMs),
        eventMs: nowMs,
      }));
    },
    facts(facts, beganMs) {
      if ((table.get(facts.id)?.factsMs ?? Number.NEGATIVE_INFINITY) > beganMs) return;
      change(facts.id, (now) => {
        const isFirst = isInspected(facts) && !isInspected(now.facts);
        const lifecycle = isFirst ? decideEarly(now.early, facts) : now.lifecycle;
        return {
          ...now,
          facts,
          factsMs: beganMs,
          problem: undefined,
          lifecycle: afterInspect(lifecycle, facts, beganMs),
          early: isInspected(facts) ? [] : now.early,
        };
      });
    },
    problem: (id, problem) => change(id, (now) => ({ ...now, problem })),
    remove(id) {
      forgetHost(id);
      ids.delete(shortId(id));
      if (table.delete(id)) onChange(id);
    },
  };
}

/** Its facts are those of an inspect, not of a list alone. */
export function isInspected(facts: ContainerFacts | undefined): boolean {
  return facts?.stopSignal !== undefined;
}

/** `network_mode: container:<id>`: the container whose network it uses. */
export function hostId({ networkMode }: Pick<ContainerFacts, "networkMode">): string | undefined {
  return networkMode.startsWith("container:") ? networkMode.slice("container:".length) : undefined;
}

function hostIdOf(tracked: Tracked | undefined): string | undefined {
  return tracked?.facts && hostId(tracked.facts);
}

function shortId(id: string): string {
  return id.slice(0, 12);
}

/** Why it is not offered, or undefined when it may be. */
export function whyOut(tracked: Tracked): string | undefined {
  if (tracked.facts === undefined)
    return tracked.lifecycle.phase === "in" ? "not inspected yet" : tracked.lifecycle.reason;
  return outReason(tracked.lifecycle, tracked.facts);
}

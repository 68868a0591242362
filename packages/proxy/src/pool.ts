import type { Clock, EventBus, InstanceState, Random } from "@smartstack/core";
import type { Agent } from "./agent-word.ts";
import { createAgents } from "./agents.ts";
import { type Backend, createBackend, isChecked, isLeaving, judge } from "./backend.ts";
import { statusOf } from "./backend-status.ts";
import { type Checker, createChecker, type Probe } from "./checker.ts";
import type { HealthListener, ProxyBackendStatus } from "./data-plane.ts";
import { createDrains } from "./drains.ts";
import { newGradient } from "./gradient.ts";
import { afterProbe, afterTrafficFailure, type Health, UNCHECKED } from "./health.ts";
import { DEFAULT_LIMITS, slotsOf, UNLIMITED } from "./limits.ts";
import { createPassive } from "./passive.ts";
import { createSelection, type Selection } from "./selection.ts";
import type { BackendSpec, ServiceSpec } from "./snapshot.ts";
import { sameBackend, sameBalance, sameCheck, sameLimits } from "./spec-changes.ts";
import type { Timing } from "./timing.ts";
import { closeExcess, closeIdle } from "./upstream.ts";

export interface PoolOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly onHealth: HealthListener | undefined;
  /** Undefined: another process probes, and tells. */
  readonly probe: Probe | undefined;
  /** An agent said something new, to this process. */
  readonly onAgent?: ((key: string, agent: Agent) => void) | undefined;
}

/** One service's backends: which of them may take the next request, and why the others may not. */
export interface Pool
  extends Pick<Selection, "queue" | "pick" | "admits" | "begin" | "end" | "describeFull">,
    Pick<Timing, "asked" | "answered"> {
  /** Takes the new set, by key: those that stay keep their health, counters and connections. */
  apply(spec: ServiceSpec): void;
  /** Live traffic could not connect to it. */
  failed(backend: Backend, reason: string): void;
  /** The same, seen by another process that serves this pool. */
  failedElsewhere(key: string, reason: string): void;
  /** It reset a connection under a request, before an answer. */
  reset(backend: Backend, reason: string): void;
  /** Its answer was as good as it could be, or none: an error of the server, garbage, silence. */
  well(backend: Backend): void;
  badly(backend: Backend, reason: string): void;
  /** What another process, which probes for this one, found. */
  tell(key: string, up: boolean, reason: string): void;
  /** What the agent of a backend said to another process, which asks for this one. */
  tellAgent(key: string, agent: Agent): void;
  /** What agents have said, by backend. */
  agents(): ReadonlyMap<string, Agent>;
  setLocalState(key: string, state: InstanceState | undefined): boolean;
  status(): readonly ProxyBackendStatus[];
  /** Why `pick` has nothing, in words. */
  describe(): string;
  stop(): void;
}

export function createPool(first: ServiceSpec, options: PoolOptions): Pool {
  const { clock, random, events, onHealth } = options;
  const backends = new Map<string, Backend>();
  const drains = createDrains(clock);
  let spec = first;
  const checker: Checker = createChecker({
    clock,
    random,
    probe: options.probe ?? (() => () => undefined),
    onResult(backend, result) {
      setHealth(backend, afterProbe(backend.health, result, spec.check));
      passive.probed(backend, result.ok);
    },
  });
  const passive = createPassive({
    clock,
    spec: () => spec.outlier,
    backends: () => backends.values(),
    isMixed: () => !selection.isHashed(),
    // Who probes elsewhere does not know whom traffic took out here.
    isProbed: (backend) => options.probe !== undefined && isChecked(backend, spec.check),
    onChange: tellEjection,
  });

  const agents = createAgents({
    clock,
    random,
    onSaid(backend, agent) {
      heed(backend, agent);
      options.onAgent?.(backend.key, agent);
    },
  });
  const selection = createSelection({ clock, random, passive, spec: () => spec, backend: (key) => backends.get(key) });
  const { timing, regroup } = selection;

  /** Everything that follows from a change of one backend's spec, health or local state. */
  function settle(backend: Backend): void {
    if (spec.agent === undefined) backend.agent = undefined;
    const verdict = judge(backend);
    if (verdict.usable !== backend.usable) {
      backend.sinceMs = clock.now();
      backend.turnedMs = clock.monotonic();
      // Who comes when nobody else is there has nobody to leave a part of its share to.
      if (verdict.usable) backend.rampFromMs = selection.hasUsable() ? clock.monotonic() : Number.NEGATIVE_INFINITY;
    }
    backend.usable = verdict.usable;
    backend.reason = verdict.reason;
    const { adaptive } = spec.limits ?? DEFAULT_LIMITS;
    backend.gradient = adaptive && (backend.gradient ?? newGradient(adaptive, clock.monotonic()));
    backend.slots = slotsOf(spec, backend);
    backend.wiresMax = spec.limits?.connectionsMax ?? UNLIMITED;
    checker.schedule(backend, spec.check, spec.stale);
    if (options.probe !== undefined) agents.schedule(backend, backend.removed ? undefined : spec.agent);
    if (!backend.usable) closeIdle(backend);
    else closeExcess(backend);
    // What a backend that takes no more traffic still has may finish, within the service's drain time.
    if (isLeaving(backend)) drains.start(backend, spec.timeouts.drainMs);
    else drains.cancel(backend);
  }

  function heed(backend: Backend, agent: Agent): void {
    const was = backend.usable;
    backend.agent = agent;
    settle(backend);
    regroup();
    const { key: id, reason, usable } = backend;
    const state = usable ? "up" : agent.admin === "ready" ? "down" : agent.admin;
    if (usable !== was) events.publish("backend.state", { service: spec.name, id, state, reason });
  }

  function setHealth(backend: Backend, next: Health): void {
    const before = backend.health;
    backend.health = next;
    if (next.status === before.status && next.reason === before.reason) return;
    settle(backend);
    regroup();
    if ((before.status === "down") === (next.status === "down")) return;
    const up = next.status !== "down";
    if (up) passive.recovered(backend);
    const { key, address } = backend;
    events.publish("backend.health", { service: spec.name, id: key, address, up, reason: next.reason });
    onHealth?.({ service: spec.name, key, up, reason: next.reason });
  }

  function tellEjection(backend: Backend): void {
    const was = backend.usable;
    settle(backend);
    regroup();
    const { key: id, address, ejection, counters } = backend;
    if (ejection === undefined) events.publish("backend.returned", { service: spec.name, id, address });
    else if (was) {
      counters.ejections++;
      events.publish("backend.ejected", { service: spec.name, id, address, reason: ejection.reason });
    }
  }

  function put(next: BackendSpec, checkChanged: boolean): void {
    const present = backends.get(next.key);
    if (present === undefined || present.host !== next.host || present.port !== next.port) {
      if (present !== undefined) remove(present);
      const made = createBackend(next, spec.check, clock.now());
      // An instance that moved is the same instance to whoever drained it here.
      made.local = present?.local;
      backends.set(next.key, made);
      settle(made);
      return;
    }
    if (!checkChanged && (present.spec === next || sameBackend(present.spec, next))) return;
    present.spec = next;
    // Nobody probes it any more, so nobody would ever bring it back.
    if (!isChecked(present, spec.check)) present.health = UNCHECKED;
    settle(present);
  }

  function remove(backend: Backend): void {
    backends.delete(backend.key);
    backend.removed = true;
    passive.forget(backend);
    settle(backend);
  }

  function removeOthers(stay: readonly BackendSpec[]): void {
    const keys = new Set(stay.map((backend) => backend.key));
    for (const backend of [...backends.values()]) if (!keys.has(backend.key)) remove(backend);
  }

  function apply(next: ServiceSpec): void {
    const previous = spec;
    spec = next;
    const checkChanged = !sameCheck(previous, next) || !sameLimits(previous, next);
    if (checkChanged || previous.backends !== next.backends || backends.size === 0) {
      for (const backend of next.backends) put(backend, checkChanged);
      if (backends.size > next.backends.length) removeOthers(next.backends);
    }
    for (const backend of backends.values()) passive.reconsider(backend);
    if (!sameBalance(previous, next)) selection.rebalance();
    regroup();
  }

  function failed(backend: Backend, reason: string): void {
    if (backend.removed || !isChecked(backend, spec.check)) return;
    setHealth(backend, afterTrafficFailure(backend.health, reason));
  }

  const pool: Pool = {
    apply,
    queue: selection.queue,
    pick: selection.pick,
    admits: selection.admits,
    begin: selection.begin,
    end: selection.end,
    describeFull: selection.describeFull,
    asked: timing.asked,
    answered: timing.answered,
    failed,
    reset(backend, reason) {
      failed(backend, reason);
      passive.reset(backend, reason);
    },
    well: passive.well,
    badly: passive.failed,
    failedElsewhere(key, reason) {
      const backend = backends.get(key);
      if (backend !== undefined) failed(backend, reason);
    },
    tell(key, up, reason) {
      const backend = backends.get(key);
      if (backend !== undefined) setHealth(backend, { status: up ? "up" : "down", streak: 0, reason });
    },
    tellAgent(key, agent) {
      const backend = backends.get(key);
      if (backend !== undefined) heed(backend, agent);
    },
    agents: () =>
      new Map([...backends.values()].flatMap(({ key, agent }) => (agent === undefined ? [] : [[key, agent]]))),
    setLocalState(key, state) {
      const backend = backends.get(key);
      if (backend === undefined) return false;
      backend.local = state;
      settle(backend);
      regroup();
      return true;
    },
    status: () => [...backends.values()].map(statusOf),
    describe() {
      if (backends.size === 0) return `service ${spec.name} has no backends`;
      const reasons = [...backends.values()].map((backend) => `${backend.key}: ${backend.reason}`);
      return `service ${spec.name} has no usable backend (${reasons.slice(0, 3).join("; ")})`;
    },
    stop() {
      selection.stop();
      checker.stop();
      agents.stop();
      passive.stop();
      drains.stop();
      for (const backend of backends.values()) closeIdle(backend);
    },
  };
  apply(first);
  return pool;
}

import type { Clock, EventBus, InstanceState, Random } from "@smartstack/core";
import { type Backend, createBackend, isChecked, isLeaving, judge } from "./backend.ts";
import { BALANCERS } from "./balance/index.ts";
import { type Candidates, groupCandidates, pickCandidate } from "./candidates.ts";
import { type Checker, createChecker, type Probe } from "./checker.ts";
import { createDrains } from "./drains.ts";
import { afterProbe, afterTrafficFailure, type Health, UNCHECKED } from "./health.ts";
import type { BackendSpec, HealthListener, ProxyBackendStatus, ServiceSpec } from "./snapshot.ts";
import { closeIdle } from "./upstream.ts";

export interface PoolOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly onHealth: HealthListener | undefined;
  readonly probe: Probe;
}

/** One service's backends: which of them may take the next request, and why the others may not. */
export interface Pool {
  /** Takes the new set, by key: those that stay keep their health, counters and connections. */
  apply(spec: ServiceSpec): void;
  /** The backend for the next attempt, by the service's algorithm: see `pickCandidate`. */
  pick(tried: readonly Backend[]): Backend | undefined;
  /** Live traffic could not connect to it, or was reset by it before an answer. */
  failed(backend: Backend, reason: string): void;
  /** The same, seen by another process that serves this pool. */
  failedElsewhere(key: string, reason: string): void;
  /** What another process, which probes for this one, found. */
  tell(key: string, up: boolean, reason: string): void;
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
  let candidates: Candidates = groupCandidates([]);
  const checker: Checker = createChecker({
    clock,
    random,
    probe: options.probe,
    onResult: (backend, result) => setHealth(backend, afterProbe(backend.health, result, spec.check)),
  });

  /** Everything that follows from a change of one backend's spec, health or local state. */
  function settle(backend: Backend): void {
    const verdict = judge(backend);
    if (verdict.usable !== backend.usable) backend.sinceMs = clock.now();
    backend.usable = verdict.usable;
    backend.reason = verdict.reason;
    checker.schedule(backend, spec.check, spec.stale);
    if (!backend.usable) closeIdle(backend);
    // What a backend that takes no more traffic still has may finish, within the service's drain time.
    if (isLeaving(backend)) drains.start(backend, spec.timeouts.drainMs);
    else drains.cancel(backend);
  }

  function regroup(): void {
    candidates = groupCandidates(backends.values());
  }

  function setHealth(backend: Backend, next: Health): void {
    const before = backend.health;
    backend.health = next;
    if (next.status === before.status && next.reason === before.reason) return;
    settle(backend);
    regroup();
    if ((before.status === "down") === (next.status === "down")) return;
    const up = next.status !== "down";
    const { key, address } = backend;
    events.publish("backend.health", { service: spec.name, id: key, address, up, reason: next.reason });
    onHealth?.({ service: spec.name, key, up, reason: next.reason });
  }

  function put(next: BackendSpec, checkChanged: boolean): void {
    const present = backends.get(next.key);
    if (present === undefined || present.host !== next.host || present.port !== next.port) {
      if (present !== undefined) remove(present);
      const made = createBackend(next, spec.check, random(), clock.now());
      // An instance that moved is the same instance to whoever drained it here.
      made.local = present?.local;
      backends.set(next.key, made);
      settle(made);
      return;
    }
    if (!checkChanged && sameBackend(present.spec, next)) return;
    present.spec = next;
    present.weight = next.weight;
    // Nobody probes it any more, so nobody would ever bring it back.
    if (!isChecked(present, spec.check)) present.health = UNCHECKED;
    settle(present);
  }

  function remove(backend: Backend): void {
    backends.delete(backend.key);
    backend.removed = true;
    settle(backend);
  }

  function apply(next: ServiceSpec): void {
    const previous = spec;
    spec = next;
    const checkChanged = !sameCheck(previous, next);
    const reweighed = next.backends.some(({ key, weight }) => (backends.get(key)?.weight ?? weight) !== weight);
    const keys = new Set(next.backends.map((backend) => backend.key));
    for (const backend of [...backends.values()]) if (!keys.has(backend.key)) remove(backend);
    for (const backend of next.backends) put(backend, checkChanged);
    // Credits are debts in the old weights; under new ones they could send everything to one backend for a while.
    if (reweighed) for (const backend of backends.values()) backend.credit = random();
    regroup();
  }

  function failed(backend: Backend, reason: string): void {
    if (backend.removed || !isChecked(backend, spec.check)) return;
    setHealth(backend, afterTrafficFailure(backend.health, reason));
  }

  apply(first);
  return {
    apply,
    pick: (tried) => pickCandidate(candidates, BALANCERS[spec.balance], tried),
    failed,
    failedElsewhere(key, reason) {
      const backend = backends.get(key);
      if (backend !== undefined) failed(backend, reason);
    },
    tell(key, up, reason) {
      const backend = backends.get(key);
      if (backend !== undefined) setHealth(backend, { status: up ? "up" : "down", streak: 0, reason });
    },
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
      checker.stop();
      drains.stop();
      for (const backend of backends.values()) closeIdle(backend);
    },
  };
}

function statusOf(backend: Backend): ProxyBackendStatus {
  const { key, health, usable, reason, sinceMs, local, counters, active } = backend;
  const shown = { key, health: health.status, usable, reason, sinceMs, counters: { active, ...counters } };
  return local === undefined ? shown : { ...shown, local };
}

function sameBackend(a: BackendSpec, b: BackendSpec): boolean {
  return a.weight === b.weight && a.state === b.state && a.suspect === b.suspect;
}

function sameCheck(a: ServiceSpec, b: ServiceSpec): boolean {
  return (
    a.stale === b.stale &&
    a.timeouts.drainMs === b.timeouts.drainMs &&
    JSON.stringify(a.check) === JSON.stringify(b.check)
  );
}

import type { Cancel, Clock } from "@smartstack/core";
import { type Backend, isOffered } from "./backend.ts";
import {
  ejectionMs,
  failing,
  lagging,
  mayEject,
  noteFailure,
  noteFirst,
  noteLatency,
  noteReturn,
  type OutlierSpec,
  SLOW_STEP_MIN,
  silent,
  type Traffic,
  usualBeside,
  usualTimes,
} from "./outlier.ts";

/** How often the times of backends are compared, at most. */
const LOOK_MS = 1_000;

export interface PassiveDeps {
  readonly clock: Clock;
  /** Undefined: switched off. */
  readonly spec: () => OutlierSpec | undefined;
  readonly backends: () => Iterable<Backend>;
  /** Do all backends get the same mix of requests? Else they cannot be compared. */
  readonly isMixed: () => boolean;
  /** Will it be probed before it comes back? Else time alone brings it back. */
  readonly isProbed: (backend: Backend) => boolean;
  /** It was ejected, is to be probed, or is back: `backend.ejection` says. */
  readonly onChange: (backend: Backend) => void;
}

/** Takes backends out of a pool by what traffic shows of them, for a while. */
export interface Passive {
  /** An answer failed: an error of the server, garbage, or none at all. */
  failed(backend: Backend, reason: string): void;
  /** An answer was as it should be. */
  well(backend: Backend): void;
  /** It began to answer so many milliseconds after it was asked; `answers`: all that the service has answered. */
  timed(backend: Backend, ms: number, answers: number): void;
  /** Its connection was reset under a request: its health takes it out, and this keeps it out longer each time it happens. */
  reset(backend: Backend, reason: string): void;
  probed(backend: Backend, ok: boolean): void;
  /** The rules or the checks have changed while it is out. */
  reconsider(backend: Backend): void;
  /** Its health is restored. */
  recovered(backend: Backend): void;
  forget(backend: Backend): void;
  stop(): void;
}

export function createPassive({ clock, spec, backends, isMixed, isProbed, onChange }: PassiveDeps): Passive {
  const waits = new Map<Backend, Cancel>();
  const traffic: Traffic = { good: 0, bad: 0 };
  let nextLookMs = Number.NEGATIVE_INFINITY;

  function othersOf(backend: Backend): Backend[] {
    return [...backends()].filter((other) => other !== backend && isOffered(other));
  }

  function hold(backend: Backend, reason: string, ms: number): void {
    backend.ejection = { reason: `ejected for ${ms / 1_000} s: ${reason}`, probed: false };
    waits.get(backend)?.();
    waits.set(
      backend,
      clock.after(ms, () => release(backend), { background: true }),
    );
    onChange(backend);
  }

  function eject(backend: Backend, reason: string, rules: OutlierSpec): boolean {
    const others = othersOf(backend);
    if (!mayEject(others.length + 1, others.filter(({ usable }) => !usable).length, rules)) return false;
    hold(backend, reason, ejectionMs(backend.seen, rules, clock.monotonic()));
    return true;
  }

  function release(backend: Backend): void {
    waits.delete(backend);
    const { ejection } = backend;
    if (ejection === undefined) return;
    if (!isProbed(backend)) {
      giveBack(backend);
      return;
    }
    backend.ejection = { reason: `${ejection.reason}; now it has to pass a probe`, probed: true };
    onChange(backend);
  }

  function giveBack(backend: Backend): void {
    backend.ejection = undefined;
    noteBack(backend, true);
    onChange(backend);
  }

  function noteBack(backend: Backend, ejected: boolean): void {
    const rules = spec();
    if (rules !== undefined) noteReturn(backend.seen, rules, clock.monotonic(), ejected);
  }

  function look(rules: OutlierSpec, answers: number, nowMs: number): void {
    nextLookMs = nowMs + LOOK_MS;
    if (!isMixed()) return;
    const asked = [...backends()].filter((one) => one.usable && one.weight > 0 && isOffered(one));
    const times = usualTimes(asked.map(({ seen }) => seen));
    for (const backend of asked) {
      const usual = usualBeside(backend.seen, times);
      if (usual === undefined) continue;
      const reason = silent(backend, usual, answers, rules, nowMs) ?? lagging(backend.seen, usual, rules);
      // One at a time: the next look compares with what is left.
      if (reason !== undefined && eject(backend, reason, rules)) return;
    }
  }

  return {
    failed(backend, reason) {
      const rules = spec();
      if (rules === undefined) return;
      if (backend.seen.streak === 0) noteFirst(backend.seen, traffic);
      noteFailure(backend.seen);
      traffic.bad++;
      if (!backend.usable || !isOffered(backend) || !isMixed()) return;
      const peers = () => othersOf(backend).map(({ seen }) => seen);
      const why = failing(backend.seen, peers, traffic, rules, clock.monotonic());
      if (why !== undefined) eject(backend, `${why}, the last: ${reason}`, rules);
    },
    well({ seen }) {
      traffic.good++;
      if (seen.streak > 0) seen.streak = 0;
    },
    timed(backend, ms, answers) {
      const nowMs = clock.monotonic();
      // What it was asked before it was ejected tells of the time before.
      const { seen, notes } = backend;
      if (nowMs - ms >= seen.backMs) noteLatency(seen, ms, notes.drag > 1 ? SLOW_STEP_MIN : undefined);
      const rules = nowMs < nextLookMs ? undefined : spec();
      if (rules !== undefined) look(rules, answers, nowMs);
    },
    reset(backend, reason) {
      const rules = spec();
      if (rules === undefined || backend.removed || backend.ejection !== undefined) return;
      const others = othersOf(backend);
      if (!mayEject(others.length + 1, others.filter(({ usable }) => !usable).length, rules)) return;
      const ms = ejectionMs(backend.seen, rules, clock.monotonic());
      // A single slip costs it no more than the probes.
      if (backend.seen.ejections > 1) hold(backend, `again: ${reason}`, ms / 2);
    },
    probed(backend, ok) {
      if (ok && backend.ejection?.probed === true) giveBack(backend);
    },
    reconsider(backend) {
      const { ejection } = backend;
      if (ejection === undefined || (spec() !== undefined && (!ejection.probed || isProbed(backend)))) return;
      waits.get(backend)?.();
      waits.delete(backend);
      giveBack(backend);
    },
    recovered: (backend) => noteBack(backend, false),
    forget(backend) {
      waits.get(backend)?.();
      waits.delete(backend);
      backend.ejection = undefined;
    },
    stop() {
      for (const cancel of waits.values()) cancel();
      waits.clear();
    },
  };
}

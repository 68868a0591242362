import type { Cancel, Clock, Random } from "@smartstack/core";
import type { Backend } from "./backend.ts";
import { NO_HASH, type Picker } from "./balance/balance.ts";
import { BALANCERS } from "./balance/index.ts";
import { ring } from "./balance/ring.ts";
import { anyOf, type Candidates, groupCandidates, pickAnother } from "./candidates.ts";
import { DEFAULT_LIMITS, hasRoom, standIn } from "./limits.ts";
import type { Passive } from "./passive.ts";
import { createQueue, type Queue } from "./queue.ts";
import { rampStepMs } from "./shares.ts";
import { DEFAULT_HASH, DEFAULT_SHARING, type ServiceSpec } from "./snapshot.ts";
import { createTiming, type Timing } from "./timing.ts";

export interface SelectionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly spec: () => ServiceSpec;
  readonly backend: (key: string) => Backend | undefined;
  readonly passive: Pick<Passive, "timed">;
}

/** Who gets the next request of a service. */
export interface Selection {
  /** Those who wait for room. */
  readonly queue: Queue;
  readonly timing: Timing;
  /** The backend for the next attempt, by the service's algorithm, never one of `tried`. `hash`: see Picker. */
  pick(tried: readonly Backend[], hash: number): Backend | undefined;
  /** May it be asked now? Else it is full, or others wait for one like it: `queue.join`. */
  admits(backend: Backend): boolean;
  /** A request or connection goes to the backend, and is over; each `begin` has its `end`. */
  begin(backend: Backend): void;
  end(backend: Backend): void;
  /** Does each request have its own backend, by a hash? */
  isHashed(): boolean;
  hasUsable(): boolean;
  /** The algorithm is another one from now on. */
  rebalance(): void;
  /** Anything that decides on shares of traffic has changed. */
  regroup(): void;
  /** Why what it has is full. */
  describeFull(): string;
  stop(): void;
}

export function createSelection({ clock, random, spec, backend: backendOf, passive }: SelectionDeps): Selection {
  let hasUsable = false;
  let candidates: Candidates = groupCandidates([]);
  let picker = newPicker();
  let ramping: Cancel | undefined;
  const timing = createTiming({
    clock,
    random,
    passive,
    spec,
    picker: () => picker,
    chosen: () => candidates.chosen,
    onDrag() {
      timing.regrouped();
      picker.update(candidates.chosen);
    },
    onSlots: () => queue.wake(),
  });
  const queue = createQueue({
    pick,
    mayHaveRoom: () => candidates.chosen.length === 0 || candidates.chosen.some(hasRoom),
    isOwn: isHashed,
    max: () => (spec().limits ?? DEFAULT_LIMITS).queueMax,
  });

  function newPicker(): Picker<Backend> {
    const { balance, hash = DEFAULT_HASH } = spec();
    return BALANCERS[balance]({ random, clock, hash });
  }

  function isHashed(): boolean {
    return BALANCERS[spec().balance] === ring;
  }

  function pick(tried: readonly Backend[], hash: number): Backend | undefined {
    if (tried.length > 0) return pickAnother(candidates, picker, hash, tried, random);
    const picked = timing.due() ?? picker.pick(hash);
    if (picked === undefined) return anyOf(candidates.ejected, random);
    if (hasRoom(picked) || (hash !== NO_HASH && isHashed())) return picked;
    return standIn(picked, candidates.chosen, spec().balance) ?? picked;
  }

  function regroup(): void {
    const { sharing = DEFAULT_SHARING, backends } = spec();
    const nowMs = clock.monotonic();
    const ordered: Backend[] = [];
    for (const { key } of backends) {
      const backend = backendOf(key);
      if (backend !== undefined) ordered.push(backend);
    }
    candidates = groupCandidates(ordered, sharing, nowMs);
    hasUsable = candidates.chosen.some(({ usable }) => usable);
    timing.regrouped();
    picker.update(candidates.chosen);
    queue.rethink();
    ramping?.();
    ramping = undefined;
    if (candidates.chosen.some(({ rampFromMs }) => nowMs - rampFromMs < sharing.slowStartMs))
      ramping = clock.after(rampStepMs(sharing.slowStartMs), regroup, { background: true });
  }

  return {
    queue,
    timing,
    pick,
    // Where each has its own backend, only those who wait for the same one come before it.
    admits: (backend) => hasRoom(backend) && (queue.size() === 0 || (isHashed() && !queue.awaits(backend))),
    begin(backend) {
      backend.active++;
      picker.loaded?.(backend, 1);
    },
    end(backend) {
      backend.active--;
      picker.loaded?.(backend, -1);
      queue.wake();
    },
    isHashed,
    hasUsable: () => hasUsable,
    rebalance() {
      // Lets go of what it wrote on them.
      picker.update([]);
      picker = newPicker();
    },
    regroup,
    describeFull() {
      const full = candidates.chosen.map(({ key, active, slots }) => `${key} has ${active} of ${slots}`);
      return `service ${spec().name} has no room (${full.slice(0, 3).join("; ")}; ${queue.size()} wait)`;
    },
    stop: () => ramping?.(),
  };
}

import type { Backend } from "./backend.ts";
import { NO_HASH } from "./balance/balance.ts";
import { hasRoom } from "./limits.ts";
import { enterEvent, leaveEvent } from "./stage.ts";
import { TICK_MS } from "./timer-wheel.ts";

/** A request, or a TCP client, for which no backend had room. */
export interface Waiter {
  readonly tried: readonly Backend[];
  /** See Picker. */
  readonly hash: number;
  /** Its turn: a backend with room, or undefined where none is left at all. Called at most once, in an event of its own. */
  readonly go: (backend: Backend | undefined) => void;
}

export interface QueueDeps {
  readonly pick: (tried: readonly Backend[], hash: number) => Backend | undefined;
  /** Could `pick` find one with room, where all backends are as good? */
  readonly mayHaveRoom: () => boolean;
  /** Does each wait for a backend of its own, as hashes have it? */
  readonly isOwn: () => boolean;
  /** How many may wait. */
  readonly max: () => number;
}

/** Those who wait for a backend with room, first come, first served. */
export interface Queue {
  size(): number;
  /** Does somebody wait for this one? */
  awaits(backend: Backend): boolean;
  /** `full`: whom it would go to. False: too many wait already. */
  join(waiter: Waiter, full: Backend): boolean;
  leave(waiter: Waiter): void;
  /** Someone may have room now. Whoever's turn it is hears of it when the present event is over. */
  wake(): void;
  /** The backends have changed: everyone may wait for another one. */
  rethink(): void;
}

/** For the timer wheel: so that nobody waits longer than was said. */
export function waitMs(queueMs: number): number {
  return queueMs === 0 ? 0 : Math.max(1, queueMs - TICK_MS);
}

export function createQueue({ pick, mayHaveRoom, isOwn, max }: QueueDeps): Queue {
  const waiters = new Map<Waiter, Backend>();
  let waking = false;
  let changed = false;

  function serve(): void {
    const anew = changed;
    const own = isOwn();
    waking = false;
    changed = false;
    enterEvent();
    for (const [waiter, full] of waiters) {
      // Looked at before anyone is picked: that costs a backend its turn.
      if (!own && !mayHaveRoom()) break;
      // What has nothing to be hashed by goes to anyone.
      if (own && !anew && !(waiter.hash === NO_HASH ? mayHaveRoom() : hasRoom(full))) continue;
      const backend = pick(waiter.tried, waiter.hash);
      if (backend !== undefined && !hasRoom(backend)) {
        waiters.set(waiter, backend);
        continue;
      }
      waiters.delete(waiter);
      waiter.go(backend);
    }
    leaveEvent();
  }

  function wake(): void {
    if (waking || waiters.size === 0) return;
    waking = true;
    // The event that made room may be half way through the bytes of its own connection.
    queueMicrotask(serve);
  }

  return {
    size: () => waiters.size,
    awaits(backend) {
      for (const full of waiters.values()) if (full === backend) return true;
      return false;
    },
    join(waiter, full) {
      if (waiters.size >= max()) return false;
      waiters.set(waiter, full);
      // It may not overtake, though there may be room for it.
      if (hasRoom(full)) wake();
      return true;
    },
    leave: (waiter) => void waiters.delete(waiter),
    wake,
    rethink() {
      changed = true;
      wake();
    },
  };
}

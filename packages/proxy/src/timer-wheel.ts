import type { Cancel, Clock } from "@smartstack/core";

/** How late a timeout may fire, milliseconds. */
export const TICK_MS = 50;
const SLOTS = 1_024;

/**
 * One timeout of a connection, made once and armed again and again. It fires up to one tick (50 ms) late, never early.
 */
export interface Timeout {
  readonly expire: () => void;
  /** Monotonic; 0 = not armed. */
  deadlineMs: number;
  /** The tick in whose slot it lies; -1 = in none. */
  tick: number;
}

export function createTimeout(expire: () => void): Timeout {
  return { expire, deadlineMs: 0, tick: -1 };
}

/** One coarse timer for every timeout of the data path, instead of one timer a connection. */
export interface TimerWheel {
  /** Fires `ms` from now instead of whenever it was to fire; 0 disarms, as 0 means "off" in every timeout setting. */
  arm(timeout: Timeout, ms: number): void;
  disarm(timeout: Timeout): void;
  /** Like `disarm`, for one that is soon armed again: it stays in its slot, and its owner in memory, till that comes up. */
  suspend(timeout: Timeout): void;
  stop(): void;
}

export function createTimerWheel(clock: Clock): TimerWheel {
  const slots: (Set<Timeout> | undefined)[] = new Array(SLOTS).fill(undefined);
  let doneTick = tickAt(clock.monotonic());
  let wakeTick = Number.POSITIVE_INFINITY;
  let cancel: Cancel | undefined;

  function insert(timeout: Timeout, nowMs: number): void {
    // Nothing waits, so no turn has kept up with the clock.
    if (wakeTick === Number.POSITIVE_INFINITY) doneTick = Math.max(doneTick, tickAt(nowMs));
    const first = Math.max(doneTick, tickAt(nowMs)) + 1;
    // What lies beyond the wheel goes as far as it reaches, and is put back when that slot comes up.
    const tick = Math.min(Math.max(Math.ceil(timeout.deadlineMs / TICK_MS), first), doneTick + SLOTS - 1);
    timeout.tick = tick;
    const index = tick % SLOTS;
    const slot = slots[index] ?? new Set();
    slots[index] = slot;
    slot.add(timeout);
    if (tick < wakeTick) wakeAt(tick, nowMs);
  }

  function wakeAt(tick: number, nowMs: number): void {
    cancel?.();
    wakeTick = tick;
    cancel = clock.after(Math.max(0, tick * TICK_MS - nowMs), turn, { background: true });
  }

  function turn(): void {
    const nowMs = clock.monotonic();
    const nowTick = tickAt(nowMs);
    // What is armed or put back while firing sets no wake-up: it could hide one that lies nearer.
    wakeTick = Number.NEGATIVE_INFINITY;
    const last = Math.min(nowTick, doneTick + SLOTS);
    for (let tick = doneTick + 1; tick <= last; tick++) fire(tick, nowMs);
    doneTick = nowTick;
    wakeTick = Number.POSITIVE_INFINITY;
    for (let tick = nowTick + 1; tick < nowTick + SLOTS && wakeTick === Number.POSITIVE_INFINITY; tick++) {
      if (slots[tick % SLOTS] !== undefined) wakeAt(tick, nowMs);
    }
  }

  function fire(tick: number, nowMs: number): void {
    const slot = slots[tick % SLOTS];
    if (slot === undefined) return;
    slots[tick % SLOTS] = undefined;
    doneTick = Math.max(doneTick, tick);
    for (const timeout of slot) {
      // Disarmed or moved by one that fired just before it.
      if (timeout.tick === -1 || timeout.tick % SLOTS !== tick % SLOTS) continue;
      timeout.tick = -1;
      if (timeout.deadlineMs > nowMs) insert(timeout, nowMs);
      else if (timeout.deadlineMs > 0) {
        timeout.deadlineMs = 0;
        timeout.expire();
      }
    }
  }

  function remove(timeout: Timeout): void {
    if (timeout.tick === -1) return;
    const index = timeout.tick % SLOTS;
    const slot = slots[index];
    slot?.delete(timeout);
    if (slot?.size === 0) slots[index] = undefined;
    timeout.tick = -1;
  }

  return {
    arm(timeout, ms) {
      if (ms <= 0) return this.disarm(timeout);
      const nowMs = clock.monotonic();
      timeout.deadlineMs = nowMs + ms;
      // Most are only ever pushed back: then the slot it lies in comes up early and sorts it in again.
      if (timeout.tick !== -1 && timeout.tick * TICK_MS <= timeout.deadlineMs) return;
      remove(timeout);
      insert(timeout, nowMs);
    },
    disarm(timeout) {
      timeout.deadlineMs = 0;
      remove(timeout);
    },
    suspend(timeout) {
      timeout.deadlineMs = 0;
    },
    stop() {
      cancel?.();
      cancel = undefined;
      slots.fill(undefined);
    },
  };
}

function tickAt(ms: number): number {
  return Math.floor(ms / TICK_MS);
}

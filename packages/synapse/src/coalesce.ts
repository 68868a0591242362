import type { Cancel, Clock } from "@smartstack/core";

/** Runs a job soon after it was asked for, however often that was. */
export interface Coalesced {
  /** The first request runs at once; those that follow within `everyMs` share one later run. */
  request(): void;
  /** Nothing runs after this. */
  stop(): void;
}

export function coalesce(clock: Clock, everyMs: number, run: () => void): Coalesced {
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: Cancel | undefined;
  let running = false;
  let stopped = false;

  function now(): void {
    timer = undefined;
    lastMs = clock.monotonic();
    running = true;
    try {
      run();
    } finally {
      running = false;
    }
  }

  return {
    request() {
      if (stopped || timer !== undefined) return;
      const restMs = lastMs + everyMs - clock.monotonic();
      // A request made by the job itself must not nest into it.
      if (restMs <= 0 && !running) now();
      else timer = clock.after(Math.max(0, restMs), now);
    },
    stop() {
      stopped = true;
      timer?.();
      timer = undefined;
    },
  };
}

import type { Cancel, Clock } from "@smartstack/core";

/** Runs a job soon after it was asked for, however often that was. */
export interface Coalesced {
  /** The first request runs at once; those that follow within the pause after it share one later run. */
  request(): void;
  /** Nothing runs after this. */
  stop(): void;
}

/** How long the pauses between runs are: the shortest at first, three times as long each time requests came meanwhile. */
export interface Pace {
  readonly shortestMs: number;
  readonly longestMs: number;
}

const GROWTH = 3;

export function coalesce(clock: Clock, pace: Pace, run: () => void): Coalesced {
  let pauseMs = pace.shortestMs;
  let lastMs = Number.NEGATIVE_INFINITY;
  let timer: Cancel | undefined;
  let running = false;
  let stopped = false;

  function now(): void {
    const waited = timer !== undefined;
    timer = undefined;
    pauseMs = waited ? Math.min(pace.longestMs, pauseMs * GROWTH) : pace.shortestMs;
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
      const restMs = lastMs + pauseMs - clock.monotonic();
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

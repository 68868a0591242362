const TICK_MS = 20;

/** How long this process did not come to what was due, milliseconds. */
export interface Pauses {
  /** All of them together, without this process's own work in them, that ended after `sinceMs` (of the epoch). */
  stoodStillMs(sinceMs?: number): number;
  /** Measures no more; returns the longest of them, its own work among it. */
  stop(): number;
}

/** Measures how long this process was not run, as far as a timer shows it. */
export function watchPauses(): Pauses {
  let last = now();
  const stood: { readonly endMs: number; readonly forMs: number }[] = [];
  let longestMs = 0;
  const look = (): void => {
    const next = now();
    const lateMs = next.atMs - last.atMs - TICK_MS;
    longestMs = Math.max(longestMs, lateMs);
    const forMs = lateMs - (next.busyMs - last.busyMs);
    if (forMs > 0) stood.push({ endMs: Date.now(), forMs });
    last = next;
  };
  const timer = setInterval(look, TICK_MS);
  return {
    stoodStillMs(sinceMs = 0) {
      look();
      return stood.filter(({ endMs }) => endMs > sinceMs).reduce((sum, { forMs }) => sum + forMs, 0);
    },
    stop() {
      clearInterval(timer);
      look();
      return longestMs;
    },
  };
}

/**
 * How long `work` takes, milliseconds, without the time for which this process was not run: what is promised within some
 * time is promised by a machine that runs.
 */
export async function timed(work: () => unknown): Promise<number> {
  const pauses = watchPauses();
  const beganMs = performance.now();
  try {
    await work();
    const tookMs = performance.now() - beganMs;
    return tookMs - pauses.stoodStillMs();
  } finally {
    pauses.stop();
  }
}

function now(): { readonly atMs: number; readonly busyMs: number } {
  const { user, system } = process.cpuUsage();
  return { atMs: performance.now(), busyMs: (user + system) / 1_000 };
}

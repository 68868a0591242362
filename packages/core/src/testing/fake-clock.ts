import type { Clock } from "../clock.ts";

export interface FakeClock extends Clock {
  /** Moves time on, firing timers in order and letting promises settle between them. */
  advance(ms: number): Promise<void>;
  /** How many timers wait. */
  pending(): number;
}

/** Time that moves only when told to. */
export function fakeClock(startMs = 1_790_000_000_000): FakeClock {
  let elapsedMs = 0;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    after(ms, run) {
      const timer = { atMs: elapsedMs + Math.max(0, ms), run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    pending: () => timers.length,
    async advance(ms) {
      const endMs = elapsedMs + ms;
      await settle();
      for (;;) {
        const next = timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (next === undefined) break;
        timers = timers.filter((timer) => timer !== next);
        elapsedMs = Math.max(elapsedMs, next.atMs);
        next.run();
        await settle();
      }
      elapsedMs = endMs;
      await settle();
    },
  };
}

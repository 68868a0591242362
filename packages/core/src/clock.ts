/** Stops a timer; calling it again does nothing. */
export type Cancel = () => void;

/** Time comes in as an argument, so that a test can own it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch: for people and documents, never for durations. */
  now(): number;
  /** Milliseconds that only grow: for durations and deadlines. */
  monotonic(): number;
  /** Calls `run` once after `ms`. The timer does not keep the process alive on its own when `background` is set. */
  after(ms: number, run: () => void, options?: { readonly background?: boolean }): Cancel;
}

// setTimeout fires at once for delays that do not fit into 31 bits.
const DELAY_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run, options) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), DELAY_MS_MAX));
    if (options?.background === true) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Uniform in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = Math.random;

/** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Calls `run` every `ms` until cancelled; the next period begins when `run` was called, whatever it started. */
export function every(clock: Clock, ms: number, run: () => void): Cancel {
  let cancel = clock.after(ms, tick);
  function tick(): void {
    cancel = clock.after(ms, tick);
    run();
  }
  return () => cancel();
}

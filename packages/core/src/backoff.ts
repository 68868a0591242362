import type { Random } from "./clock.ts";

export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Growth per attempt; default 2. */
  readonly factor?: number;
}

/** Waiting times between attempts, as an immutable value: `next()` returns the value for the attempt after. */
export interface Backoff {
  /** Milliseconds to wait before the next attempt: uniform in [half, whole] of the step, so that a fleet does not come back in step. */
  delayMs(random: Random): number;
  next(): Backoff;
}

/** @throws RangeError when the bounds make no sense. */
export function exponentialBackoff(options: BackoffOptions): Backoff {
  const { minMs, maxMs, factor = 2 } = options;
  if (!(minMs > 0) || !(maxMs >= minMs) || !(factor >= 1)) {
    throw new RangeError(`backoff needs 0 < minMs <= maxMs and factor >= 1, got ${minMs}, ${maxMs}, ${factor}`);
  }
  const at = (stepMs: number): Backoff => ({
    delayMs: (random) => stepMs * (0.5 + random() / 2),
    next: () => at(Math.min(maxMs, stepMs * factor)),
  });
  return at(minMs);
}

/** What reconnecting parts use unless they have a reason: 100 ms to 2 s. Outages must not outlive the outage by much. */
export const RECONNECT_BACKOFF: Backoff = exponentialBackoff({ minMs: 100, maxMs: 2_000 });

/** How many requests (http) or connections (tcp) are let through: a bucket of `burst` tokens that fills at an even pace. */
export interface RateSpec {
  /** Tokens that come back in `perMs`. */
  readonly requests: number;
  readonly perMs: number;
  /** What may come at once after a quiet time. */
  readonly burst: number;
}

/** In parts of a token: sums of intervals are not exact. */
const TOLERANCE = 1 / 1_000;

/*
 * A bucket is one number: the monotonic time at which it will be full again. One that was never used is full since ever.
 * This is the generic cell rate algorithm (ITU-T I.371), which lets through what a token bucket does.
 */
export const FULL = Number.NEGATIVE_INFINITY;

/** Milliseconds until the bucket has a token; 0 = now. */
export function tokenInMs(fullAtMs: number, { requests, perMs, burst }: RateSpec, nowMs: number): number {
  const tokenMs = perMs / requests;
  const missingMs = fullAtMs - nowMs - (burst - 1) * tokenMs;
  return missingMs > tokenMs * TOLERANCE ? missingMs : 0;
}

/** When the bucket will be full again, now that a token was taken. */
export function afterTake(fullAtMs: number, { requests, perMs }: RateSpec, nowMs: number): number {
  return Math.max(fullAtMs, nowMs) + perMs / requests;
}

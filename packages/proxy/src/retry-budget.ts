import type { RetryBudgetSpec } from "./snapshot.ts";

/** How long what a request paid in is worth something: Finagle's and Linkerd's ten seconds. */
const WINDOW_S = 10;

/** What a service may still spend on retries, as of its last look. One number a request: the count that is kept anyway. */
export interface RetryBudget {
  readonly tokens: number;
  /** The service's requests till then. */
  readonly requests: number;
  /** Monotonic milliseconds. */
  readonly atMs: number;
}

/** A service begins with what its floor is worth in one window. */
export function newRetryBudget(spec: RetryBudgetSpec, nowMs: number): RetryBudget {
  return { tokens: spec.minPerSecond * WINDOW_S, requests: 0, atMs: nowMs };
}

/**
 * Asks for one retry: each takes a token, each request brings `ratio` of one, each second `minPerSecond`. Tokens fade
 * with the window, as do Finagle's and Linkerd's retry budgets, so that no quiet hour pays for a storm; what came in
 * since the last look is taken to have come evenly. `requests` is the service's count so far.
 */
export function takeRetry(
  before: RetryBudget,
  spec: RetryBudgetSpec,
  requests: number,
  nowMs: number,
): { readonly granted: boolean; readonly budget: RetryBudget } {
  const seconds = Math.max(0, nowMs - before.atMs) / 1_000;
  const income = spec.ratio * (requests - before.requests) + spec.minPerSecond * seconds;
  const kept = Math.exp(-seconds / WINDOW_S);
  // The mean worth of an income that came evenly over these seconds.
  const worth = seconds === 0 ? 1 : ((1 - kept) * WINDOW_S) / seconds;
  const tokens = before.tokens * kept + income * worth;
  const granted = tokens >= 1;
  return { granted, budget: { tokens: granted ? tokens - 1 : tokens, requests, atMs: nowMs } };
}

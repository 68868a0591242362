import { type Backoff, RECONNECT_BACKOFF } from "./backoff.ts";
import { type Clock, type Random, sleep } from "./clock.ts";
import { describeError, isStackError } from "./errors.ts";

export interface KeepAliveOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly backoff?: Backoff;
  /** A run that lived this long starts the backoff anew; default 10 s. A server that accepts and dies must not be hammered. */
  readonly steadyMs?: number;
  /** Called on transitions only: once when it goes down, once when a run reports itself healthy again. */
  readonly onTransition?: (transition: Transition) => void;
}

export type Transition =
  | { readonly state: "up"; readonly attempts: number }
  | { readonly state: "down"; readonly error: unknown; readonly reason: string };

/** One attempt. It calls `healthy()` once it has what it needs, and lives until it throws, returns or is aborted. */
export type Run = (signal: AbortSignal, healthy: () => void) => Promise<void>;

/**
 * Runs `run` again and again until `signal` aborts: the one place in this project that retries. Returns when aborted.
 * @throws the run's error when it is a StackError that says retry never.
 */
export async function keepAlive(run: Run, options: KeepAliveOptions): Promise<void> {
  const { clock, signal, steadyMs = 10_000, onTransition } = options;
  const first = options.backoff ?? RECONNECT_BACKOFF;
  let backoff = first;
  let state: Transition["state"] | undefined;
  let attempts = 0;
  while (!signal.aborted) {
    attempts++;
    const startedMs = clock.monotonic();
    let running = true;
    const healthy = (): void => {
      if (!running || state === "up" || signal.aborted) return;
      state = "up";
      onTransition?.({ state, attempts });
      attempts = 0;
    };
    let error: unknown;
    try {
      await run(signal, healthy);
      error = new Error("ended");
    } catch (thrown) {
      error = thrown;
    }
    running = false;
    if (signal.aborted) return;
    if (isStackError(error) && error.retry === "never") throw error;
    if (state !== "down") {
      state = "down";
      onTransition?.({ state, error, reason: describeError(error) });
    }
    if (clock.monotonic() - startedMs >= steadyMs) backoff = first;
    // Only the first time in a row: an error that always says at once must not become a busy loop.
    const atOnce = backoff === first && isStackError(error) && error.retry === "at-once";
    await sleep(clock, atOnce ? 0 : backoff.delayMs(options.random), signal);
    backoff = backoff.next();
  }
}

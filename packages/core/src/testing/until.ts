export interface UntilOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** What is being waited for, for the failure's message. */
  readonly what: string;
}

/**
 * Waits for a condition with a deadline: returns the first value that is neither undefined nor false. A probe that
 * throws counts as not yet, and its last error is the failure's cause.
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  options: UntilOptions,
): Promise<Exclude<T, undefined | false>> {
  const { timeoutMs = 10_000, everyMs = 20, what } = options;
  const endMs = performance.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    // Judged before the probe: after a pause of this process timers come before what has arrived meanwhile.
    const isLast = performance.now() > endMs;
    if (isLast) await new Promise((resolve) => setImmediate(resolve));
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (isLast) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

import { type Clock, describeError, sleep } from "@smartstack/core";

const ASK_EVERY_MS = 200;

/**
 * Asks until there is nothing left to wait for, also while no process answers.
 * @returns undefined then; what was still missing, when `timeoutMs` have passed.
 */
export async function askUntil(
  ask: () => Promise<string | undefined>,
  timeoutMs: number,
  clock: Clock,
): Promise<string | undefined> {
  const endMs = clock.monotonic() + timeoutMs;
  for (;;) {
    const missing = await ask().catch(describeError);
    if (missing === undefined || clock.monotonic() >= endMs) return missing;
    await sleep(clock, ASK_EVERY_MS);
  }
}

import { describeError } from "@smartstack/core";
import type { ProbeRequest, ProbeResult } from "./check.ts";

/** What one attempt may say to what runs it. */
export interface Attempt {
  /** Runs `close` when the attempt is over, however it ended; at once when it is over already. */
  defer(close: () => void): void;
  /** What to say should the time end now, or what tells it then; at first "no answer within 300 ms". */
  late(reason: string | (() => string)): void;
}

/**
 * Runs one attempt within the time of its request. Whatever it throws is the reason of a failed probe; what is still
 * under way at the deadline or at an abort is dropped, and everything it opened is closed.
 */
export function attempt(request: ProbeRequest, run: (attempt: Attempt) => Promise<ProbeResult>): Promise<ProbeResult> {
  const { clock, timeoutMs, signal } = request;
  return new Promise((resolve) => {
    const closers: (() => void)[] = [];
    let over = false;
    let lateReason: string | (() => string) = `no answer within ${timeoutMs} ms`;
    const finish = (result: ProbeResult): void => {
      if (over) return;
      over = true;
      cancelTimeout();
      signal.removeEventListener("abort", abort);
      for (const close of closers) close();
      resolve(result);
    };
    const fail = (reason: string): void => finish({ passed: false, reason });
    const abort = (): void => fail("cancelled");
    const cancelTimeout = clock.after(timeoutMs, () =>
      fail(typeof lateReason === "string" ? lateReason : lateReason()),
    );
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    const defer = (close: () => void): void => {
      if (over) close();
      else closers.push(close);
    };
    const late: Attempt["late"] = (reason) => {
      lateReason = reason;
    };
    // What is thrown before the first await is a reason like any other.
    const outcome = (async () => run({ defer, late }))();
    outcome.then(finish, (error: unknown) => fail(describeError(error)));
  });
}

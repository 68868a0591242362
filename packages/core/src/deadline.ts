import type { Clock } from "./clock.ts";
import { type ErrorSide, StackError } from "./errors.ts";

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly ms: number;
  /** What is being waited for, for the error: "etcd put /x". */
  readonly what: string;
  readonly side: ErrorSide;
}

/**
 * `work`, or a StackError DEADLINE after `ms`. The work itself is not cancelled, its late result or error is dropped.
 * Client libraries here have calls that never settle; nothing may wait for one without this.
 */
export function withDeadline<T>(work: Promise<T>, options: DeadlineOptions): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = options.clock.after(options.ms, () => {
      reject(
        new StackError("DEADLINE", `${options.what} did not finish within ${options.ms} ms`, {
          side: options.side,
          retry: "after-backoff",
        }),
      );
    });
    work.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(error);
      },
    );
  });
}

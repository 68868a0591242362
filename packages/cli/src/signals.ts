import { type Cancel, type Clock, describeError } from "@smartstack/core";

/** Ctrl-C reaches a process from its terminal and again from the npm that started it: within this, both are one. */
const SAME_SIGNAL_MS = 250;

export interface SignalActions {
  /** The first TERM or INT. */
  readonly stop: (signal: string) => void;
  /** The second: now. */
  readonly stopNow: () => void;
  readonly reload: () => void;
  /** USR2. */
  readonly replace?: () => void;
}

/** Which action a signal asks for, given when the first stop signal came. Pure. */
export function stopAction(firstMs: number | undefined, nowMs: number): "stop" | "stopNow" | "none" {
  if (firstMs === undefined) return "stop";
  return nowMs - firstMs < SAME_SIGNAL_MS ? "none" : "stopNow";
}

/** Returns what takes the handlers off again. */
export function onSignals(clock: Clock, actions: SignalActions): Cancel {
  let firstMs: number | undefined;
  const stop = (signal: string): void => {
    const action = stopAction(firstMs, clock.monotonic());
    firstMs ??= clock.monotonic();
    if (action === "stop") actions.stop(signal);
    else if (action === "stopNow") actions.stopNow();
  };
  const reload = (): void => actions.reload();
  // Handled even without an action: unhandled it ends the process.
  const replace = (): void => actions.replace?.();
  process.on("SIGTERM", stop).on("SIGINT", stop).on("SIGHUP", reload).on("SIGUSR2", replace);
  return () => process.off("SIGTERM", stop).off("SIGINT", stop).off("SIGHUP", reload).off("SIGUSR2", replace);
}

/** An error that nobody caught leaves the process in an unknown state: say it, and let a supervisor start anew. */
export function onFatal(report: (text: string, stack: string | undefined) => void): Cancel {
  const fatal = (error: unknown): void => {
    report(describeError(error), error instanceof Error ? error.stack : undefined);
    process.exit(2);
  };
  process.on("uncaughtException", fatal).on("unhandledRejection", fatal);
  return () => process.off("uncaughtException", fatal).off("unhandledRejection", fatal);
}

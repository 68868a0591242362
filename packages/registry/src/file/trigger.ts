import { type Clock, sleep } from "@smartstack/core";
import { type FSWatcher, watch } from "chokidar";

/** The net under the notifications, which network file systems do not send. */
export const POLL_MS = 1_000;

/** Between a notification and the look: what is written together is seen together. */
const SETTLE_MS = 20;

/** Says when to look at a directory. Notifications are no more than that: none of them is trusted to come. */
export interface Trigger {
  /** Resolves when something was renamed in the directory since the last call, after POLL_MS, or when aborted. */
  next(clock: Clock, signal: AbortSignal): Promise<void>;
  /** Watches what lies at the path now: the kernel watches a directory, not its name, and goes on with one that was replaced. */
  rearm(): void;
  close(): Promise<void>;
}

export function trigger(root: string, onError: (error: unknown) => void): Trigger {
  let touched = false;
  let wake: () => void = () => undefined;
  const ring = (): void => {
    touched = true;
    wake();
  };
  let watcher = watching(root, ring, onError);
  return {
    async next(clock, signal) {
      if (!touched && !signal.aborted) {
        const pause = new AbortController();
        wake = () => pause.abort();
        signal.addEventListener("abort", wake, { once: true });
        await sleep(clock, POLL_MS, pause.signal);
        signal.removeEventListener("abort", wake);
      }
      if (touched) await sleep(clock, SETTLE_MS, signal);
      touched = false;
    },
    rearm() {
      watcher.close().catch(onError);
      watcher = watching(root, ring, onError);
    },
    close: () => watcher.close(),
  };
}

function watching(root: string, ring: () => void, onError: (error: unknown) => void): FSWatcher {
  // Directories only: a watch for each file would use up the kernel's, and renewals would ring all the time.
  const watcher = watch(root, { depth: 1, ignoreInitial: true, ignored: (_, stats) => stats?.isFile() === true });
  watcher.on("raw", (event) => {
    if (event === "rename") ring();
  });
  // What changed before the kernel watched was not notified.
  watcher.on("ready", ring);
  // Too few watches or descriptors: the poll goes on.
  watcher.on("error", onError);
  return watcher;
}

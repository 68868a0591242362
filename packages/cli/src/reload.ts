import { createHash } from "node:crypto";
import { basename, dirname, resolve } from "node:path";
import { type Cancel, type Clock, describeError, type EventBus, every } from "@smartstack/core";
import { watch } from "chokidar";

const SETTLE_MS = 100;
/** The net under lost file events: some file systems have none. */
const REREAD_MS = 60_000;

export interface ReloadOptions {
  readonly file: string;
  readonly clock: Clock;
  readonly events: EventBus;
  /** The text now. Throws when it cannot be read. */
  readonly read: () => string;
  /** Puts a text into force; throws when it is wrong, and then the last good one stays. */
  readonly apply: (text: string) => void;
  /** What is in force. */
  readonly initial: string;
}

export interface Reload {
  /** Reads again now, whether anything changed or not: SIGHUP. */
  now(): void;
  close(): Promise<void>;
}

/**
 * Keeps a configuration file in force. Its parent folder is watched, any event there is a mere trigger: editors and
 * config maps replace files, after which a watch of the file itself is deaf.
 */
export function watchConfig(options: ReloadOptions): Reload {
  const { file, clock, events } = options;
  let seen = digest(options.initial);
  let settle: Cancel | undefined;
  const look = (force: boolean): void => {
    let text: string;
    try {
      text = options.read();
    } catch (error) {
      // A file that is missing while it is replaced is no change; one that stays away is told once.
      const reason = describeError(error);
      if (!force && seen === digest(reason)) return;
      seen = digest(reason);
      events.publish("config.rejected", { file, reason });
      return;
    }
    if (!force && seen === digest(text)) return;
    seen = digest(text);
    try {
      options.apply(text);
      events.publish("config.reloaded", { file });
    } catch (error) {
      events.publish("config.rejected", { file, reason: describeError(error) });
    }
  };
  const trigger = (): void => {
    settle?.();
    settle = clock.after(SETTLE_MS, () => look(false));
  };
  const watcher = watch(dirname(resolve(file)), { depth: 0, ignoreInitial: true });
  watcher.on("all", trigger);
  watcher.on("error", (error) => {
    const warning = `${basename(file)} cannot be watched, it is read every ${REREAD_MS / 1_000} s: ${describeError(error)}`;
    events.publish("config.warning", { file, warning });
  });
  const stopNet = every(clock, REREAD_MS, () => look(false));
  return {
    now: () => look(true),
    async close() {
      settle?.();
      stopNet();
      await watcher.close();
    },
  };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

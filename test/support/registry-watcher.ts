import { fileURLToPath } from "node:url";
import type { Instance, NodeEntry } from "@smartstack/core";
import type { RegistryConfig } from "@smartstack/registry";
import { startChild } from "./children.ts";
import type { ProcessUsage } from "./usage-trend.ts";

const PROGRAM = fileURLToPath(new URL("./registry-watcher.mjs", import.meta.url));
/** A loaded machine may take its time; a process that hangs must not. */
const ANSWER_MS_MAX = 20_000;

export interface WatcherReport {
  /** When it began to open the registry, and now. */
  readonly atFirst: ProcessUsage;
  readonly usage: ProcessUsage;
  /** Since its start. */
  readonly batches: number;
  readonly resets: number;
  readonly instances: number;
  /** How long it took, from opening the registry, until all that was expected was there. */
  readonly loadedMs?: number;
  /** Of the changes since then and since the last report: when the last one of each instance, `service/id`, came, by CLOCK_MONOTONIC. */
  readonly arrivals: readonly (readonly [key: string, atNs: string])[];
  /** Per service what its watch has told of: path → document. Only when asked for. */
  readonly documents?: readonly (readonly [string, readonly (readonly [string, Instance | NodeEntry])[]])[];
}

/** A process that watches services as a synapse does, and nothing else. */
export interface Watcher {
  readonly pid: number;
  report(wants?: "documents"): Promise<WatcherReport>;
  stop(): Promise<void>;
}

export interface WatcherOptions {
  /** Default: all that there are. */
  readonly services?: readonly string[];
  /** How many instances it is to wait for; it keeps arrivals only then. */
  readonly expects?: number;
}

export function startWatcher(config: RegistryConfig, options: WatcherOptions): Watcher {
  const args = [PROGRAM, JSON.stringify({ config, ...options })];
  const child = startChild(process.execPath, args, { stdio: ["ignore", "pipe", "pipe", "ipc"] });
  return {
    pid: child.pid,
    report: (wants) =>
      new Promise((resolve, reject) => {
        const end = (work: () => void): void => {
          clearTimeout(limit);
          child.process.off("message", answered);
          work();
        };
        const failed = (how: string): void => end(() => reject(new Error(`the watcher ${how}:\n${child.output()}`)));
        const answered = (answer: unknown): void => end(() => resolve(answer as WatcherReport));
        const limit = setTimeout(() => failed(`gave no report within ${ANSWER_MS_MAX} ms`), ANSWER_MS_MAX);
        child.process.on("message", answered);
        void child.exited.then((how) => failed(`ended: ${how}`));
        child.process.send({ wants }, (error) => error && failed(`cannot be asked: ${error.message}`));
      }),
    stop: () => child.stop(),
  };
}

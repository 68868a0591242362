import { fileURLToPath } from "node:url";
import type { Instance, NodeEntry } from "@smartstack/core";
import type { RegistryConfig } from "@smartstack/registry";
import { startChild } from "./children.ts";
import type { ProcessUsage } from "./usage-trend.ts";

const PROGRAM = fileURLToPath(new URL("./registry-watcher.mjs", import.meta.url));
/** A loaded machine may take its time; a process that hangs must not. */
const ANSWER_MS_MAX = 20_000;

export interface WatcherReport {
  readonly usage: ProcessUsage;
  /** Since its start. */
  readonly batches: number;
  readonly resets: number;
  readonly instances: number;
  /** Of the changes since the last report whose documents have a label `sent-ns`, a time of CLOCK_MONOTONIC. */
  readonly latenciesMs: readonly number[];
  /** Per service what its watch has told of: path → document. Only when asked for. */
  readonly documents?: readonly (readonly [string, readonly (readonly [string, Instance | NodeEntry])[]])[];
}

/** A process that watches services as a synapse does, and nothing else. */
export interface Watcher {
  readonly pid: number;
  report(wants?: "documents"): Promise<WatcherReport>;
  stop(): Promise<void>;
}

/** Follows all services that there are unless some are named. */
export function startWatcher(config: RegistryConfig, services?: readonly string[]): Watcher {
  const args = [PROGRAM, JSON.stringify({ config, services })];
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

import { fork, type SendHandle } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { StreamHandle } from "../handles.ts";
import type { ToControl, ToWorker } from "./protocol.ts";

/** A worker's process and the channel to it. */
export interface WorkerProcess {
  readonly pid: number;
  /** `sent` is called once message and handle have left. What cannot be sent any more is dropped: `gone` tells. */
  send(message: ToWorker, handle?: StreamHandle, sent?: () => void): void;
  onMessage(listener: (message: ToControl, handle: StreamHandle | undefined) => void): void;
  /** How it ended, in words. */
  readonly gone: Promise<string>;
  kill(): void;
}

const ENTRY = fileURLToPath(new URL("../../bin/worker.js", import.meta.url));

/** Starts a worker from the code that lies on the disk now. */
export function forkWorker(): WorkerProcess {
  // JSON would lose what is undefined, and make null of an infinity.
  const child = fork(ENTRY, { execArgv: [], serialization: "advanced" });
  // Whoever is gone calls nobody back, and each may hold a connection here.
  const unsent = new Set<() => void>();
  const gone = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`it could not be started: ${error.message}`));
    child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  gone.then(() => {
    for (const sent of unsent) sent();
  });
  return {
    pid: child.pid ?? -1,
    send(message, handle, sent) {
      if (!child.connected) return sent?.();
      const done = (): void => {
        if (unsent.delete(done)) sent?.();
      };
      unsent.add(done);
      // Bare stream handles may be sent as well as the sockets around them, though the types do not say so.
      child.send(message, handle as unknown as SendHandle, {}, done);
    },
    onMessage: (listener) =>
      void child.on("message", (message, handle) =>
        listener(message as ToControl, handle as unknown as StreamHandle | undefined),
      ),
    gone,
    kill: () => void child.kill("SIGKILL"),
  };
}

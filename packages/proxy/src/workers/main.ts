// The process of one worker. It is started by the control process only, and ends with it.
import type { SendHandle } from "node:child_process";
import { every, systemClock, systemRandom } from "@smartstack/core";
import type { StreamHandle } from "../handles.ts";
import type { ToWorker } from "./protocol.ts";
import { runWorker } from "./worker.ts";

const LOOK_EVERY_MS = 1_000;

// A terminal and a service manager signal every process of a group; what a worker does, its control process decides.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const) process.on(signal, () => undefined);

runWorker({
  clock: systemClock,
  random: systemRandom,
  link: {
    send(message, handle, sent) {
      // A channel that is gone is told by its end.
      // Bare stream handles may be sent as well as the sockets around them, though the types do not say so.
      if (process.connected) process.send?.(message, handle as unknown as SendHandle, {}, () => sent?.());
      else sent?.();
    },
    onMessage: (listener) =>
      process.on("message", (message, handle) => listener(message as ToWorker, handle as StreamHandle | undefined)),
    onEnd(listener) {
      process.once("disconnect", listener);
      // Node does not tell of an end that comes while a handle is on its way.
      const stop = every(systemClock, LOOK_EVERY_MS, () => {
        if (process.connected) return;
        stop();
        listener();
      });
    },
  },
  exit: () => process.exit(0),
});

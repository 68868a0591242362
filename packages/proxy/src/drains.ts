import type { Cancel, Clock } from "@smartstack/core";
import type { Backend } from "./backend.ts";

/** Ends what a leaving backend still has, once its time is up. */
export interface Drains {
  /** Its connections may go on for `drainMs` from now, 0 = for ever; a drain that runs already is left alone. */
  start(backend: Backend, drainMs: number): void;
  /** It came back: its connections stay. */
  cancel(backend: Backend): void;
  stop(): void;
}

export function createDrains(clock: Clock): Drains {
  const running = new Map<Backend, Cancel>();
  const cancel = (backend: Backend): void => {
    running.get(backend)?.();
    running.delete(backend);
  };
  return {
    start(backend, drainMs) {
      if (running.has(backend) || drainMs === 0) return;
      const end = (): void => {
        // Kept while it is not back, so that a second look at the same leaving backend starts no second drain.
        running.set(backend, () => undefined);
        for (const wire of backend.wires) wire.destroy();
        if (backend.removed) running.delete(backend);
      };
      running.set(backend, clock.after(drainMs, end, { background: true }));
    },
    cancel,
    stop() {
      for (const backend of [...running.keys()]) cancel(backend);
    },
  };
}

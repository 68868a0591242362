import { flushStage, stage } from "./stage.ts";
import { createTimeout, type TimerWheel } from "./timer-wheel.ts";
import type { Wire, WireOwner } from "./wire.ts";

/** When one side is gone for good, how long the other may take to read what it still gets. */
const FLUSH_MS = 30_000;

export interface JoinOptions {
  readonly wheel: TimerWheel;
  /** Without bytes in either direction; 0 = for ever. */
  readonly idleMs: number;
  /** The same once one direction has ended: who says nothing then may never do; 0 = as `idleMs`. */
  readonly halfClosedMs: number;
  readonly onIn: (count: number) => void;
  readonly onOut: (count: number) => void;
}

/**
 * Passes bytes both ways between two connected, half-open capable connections until both directions have ended: an end is
 * passed on as an end, a reset as a reset, and a side that does not read stops the other from sending. Of all events the
 * owners they had hear only the last.
 */
export function join(client: Wire, backend: Wire, options: JoinOptions): void {
  const { wheel, idleMs, halfClosedMs } = options;
  const idle = createTimeout(() => {
    client.destroy();
    backend.destroy();
  });
  let flushing = false;
  let quietMs = idleMs;
  const touch = (): void => {
    if (!flushing) wheel.arm(idle, quietMs);
  };
  touch();
  const pass = (from: Wire, to: Wire, before: WireOwner, count: (bytes: number) => void): WireOwner => ({
    wireData(bytes) {
      touch();
      count(bytes.length);
      stage(to, bytes, 0, bytes.length);
      flushStage();
      if (to.needsDrain) from.pause();
    },
    wireEnded() {
      to.end();
      if (halfClosedMs > 0) quietMs = idleMs > 0 ? Math.min(idleMs, halfClosedMs) : halfClosedMs;
      touch();
    },
    wireDrained() {
      touch();
      to.resume();
    },
    wireClosed(error) {
      before.wireClosed(error);
      if (to.destroyed) return wheel.disarm(idle);
      if (error !== undefined) to.reset();
      else if (to.writable) to.destroy();
      else {
        flushing = true;
        wheel.arm(idle, FLUSH_MS);
      }
    },
  });
  client.owner = pass(client, backend, client.owner, options.onIn);
  backend.owner = pass(backend, client, backend.owner, options.onOut);
  // What was written before they were joined may still wait.
  flushStage();
  if (!backend.needsDrain) client.resume();
  else client.pause();
  if (!client.needsDrain) backend.resume();
  else backend.pause();
}

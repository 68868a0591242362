import type { Socket } from "node:net";
import { createTimeout, type TimerWheel } from "./timer-wheel.ts";

/** When one side is gone for good, how long the other may take to read what it still gets. */
const FLUSH_MS = 30_000;

export interface JoinOptions {
  readonly wheel: TimerWheel;
  /** Without bytes in either direction; 0 = for ever. */
  readonly idleMs: number;
  readonly onIn: (count: number) => void;
  readonly onOut: (count: number) => void;
}

/**
 * Passes bytes both ways between two connected, half-open capable sockets until both directions have ended: an end is
 * passed on as an end, a reset as a reset, and a side that does not read stops the other from sending.
 */
export function join(client: Socket, backend: Socket, options: JoinOptions): void {
  const { wheel, idleMs } = options;
  const idle = createTimeout(() => {
    client.destroy();
    backend.destroy();
  });
  let flushing = false;
  const touch = (): void => {
    if (!flushing) wheel.arm(idle, idleMs);
  };
  touch();
  const pass = (from: Socket, to: Socket, count: (bytes: number) => void): void => {
    from.on("data", (chunk: Buffer) => {
      touch();
      count(chunk.length);
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      touch();
      from.resume();
    });
    from.on("end", () => to.end());
    let failed = false;
    from.on("error", () => {
      failed = true;
    });
    from.on("close", () => {
      if (to.destroyed) return wheel.disarm(idle);
      if (failed) to.resetAndDestroy();
      else if (!to.writableEnded) to.destroy();
      else {
        flushing = true;
        wheel.arm(idle, FLUSH_MS);
      }
    });
    if (to.writableNeedDrain) from.pause();
    else from.resume();
  };
  pass(client, backend, options.onIn);
  pass(backend, client, options.onOut);
}

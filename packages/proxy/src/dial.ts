import type { Backend } from "./backend.ts";
import { dialHandle } from "./handle-wire.ts";
import { dialSocket } from "./socket-wire.ts";
import { stage } from "./stage.ts";
import { createTimeout, type TimerWheel } from "./timer-wheel.ts";
import type { Connecting, Wire, WireOwner } from "./wire.ts";

export interface DialOptions {
  readonly wheel: TimerWheel;
  readonly connectMs: number;
  /** The first bytes of the connection, whatever follows: who the client is. */
  readonly preface?: Uint8Array | undefined;
  /** Live traffic could not connect: the backend's fault, never ours. */
  readonly onFailure: (backend: Backend, reason: string) => void;
}

/**
 * A connection on its way to a backend: it is counted, closed with the backend's drain, and given up after `connectMs`
 * (a removed container's address drops SYNs without a word). `connected` is called when it stands; its owner hears of
 * its end in any case.
 */
export function dial(backend: Backend, options: DialOptions, owner: WireOwner, connected: () => void): Wire {
  const { wheel, connectMs, onFailure } = options;
  let stands = false;
  const timeout = createTimeout(() => wire.destroy(connectTimeout(backend, connectMs)));
  const connecting: Connecting = {
    owner,
    connected() {
      stands = true;
      wheel.disarm(timeout);
      connected();
    },
    closed(error) {
      wheel.disarm(timeout);
      backend.wires.delete(wire);
      if (stands || error === undefined) return;
      backend.counters.failures++;
      if (!isOurFault(error)) onFailure(backend, failureReason(error));
    },
  };
  const wire = dialHandle(backend.host, backend.port, connecting) ?? dialSocket(backend.host, backend.port, connecting);
  backend.wires.add(wire);
  backend.counters.connections++;
  wheel.arm(timeout, connectMs);
  if (options.preface !== undefined) stage(wire, options.preface, 0, options.preface.length);
  return wire;
}

function connectTimeout(backend: Backend, connectMs: number): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`connect to ${backend.address} took more than ${connectMs} ms`);
  error.code = "ETIMEDOUT";
  return error;
}

// This host ran out of something: no reason to take a healthy backend out of its pool.
export function isOurFault(error: NodeJS.ErrnoException): boolean {
  return ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"].includes(error.code ?? "");
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect refused",
  ETIMEDOUT: "connect timed out",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  ENOTFOUND: "host name not found",
  EAI_AGAIN: "host name cannot be looked up now",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
};

/** An error of a socket to a backend, in a few words. */
export function failureReason(error: NodeJS.ErrnoException): string {
  return REASONS[error.code ?? ""] ?? (error.message || error.code || "failed");
}

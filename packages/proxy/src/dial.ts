import { connect, type Socket } from "node:net";
import type { Backend } from "./backend.ts";
import { createTimeout, type TimerWheel } from "./timer-wheel.ts";

export interface DialOptions {
  readonly wheel: TimerWheel;
  readonly connectMs: number;
  /** Live traffic could not connect: the backend's fault, never ours. */
  readonly onFailure: (backend: Backend, reason: string) => void;
}

/**
 * A socket on its way to a backend. It emits `connect`, or `error` then `close`; it is counted, closed with the
 * backend's drain, and given up after `connectMs` (a removed container's address drops SYNs without a word).
 */
export function dial(backend: Backend, options: DialOptions): Socket {
  const socket = connect({
    host: backend.host,
    port: backend.port,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
  });
  backend.sockets.add(socket);
  backend.counters.connections++;
  const timeout = createTimeout(() => socket.destroy(connectTimeout(backend, options.connectMs)));
  options.wheel.arm(timeout, options.connectMs);
  let connected = false;
  socket.once("connect", () => {
    connected = true;
    options.wheel.disarm(timeout);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (connected) return;
    backend.counters.failures++;
    if (!isOurFault(error)) options.onFailure(backend, failureReason(error));
  });
  socket.once("close", () => {
    options.wheel.disarm(timeout);
    backend.sockets.delete(socket);
  });
  return socket;
}

function connectTimeout(backend: Backend, connectMs: number): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`connect to ${backend.address} took more than ${connectMs} ms`);
  error.code = "ETIMEDOUT";
  return error;
}

// This host ran out of something: no reason to take a healthy backend out of its pool.
function isOurFault(error: NodeJS.ErrnoException): boolean {
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

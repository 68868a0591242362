import { lstat, unlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import {
  type Clock,
  type EventBus,
  exponentialBackoff,
  keepAlive,
  type ListenerStatus,
  type Random,
  StackError,
  withDeadline,
} from "@smartstack/core";
import { addressOf } from "./backend-address.ts";
import { failureReason } from "./dial.ts";
import { handleWire } from "./handle-wire.ts";
import { takeHandles } from "./handles.ts";
import type { ListenAddress } from "./snapshot.ts";
import { socketWire } from "./socket-wire.ts";
import type { Wire } from "./wire.ts";

/** More clients than this at one listener are turned away: every connection costs memory and a file descriptor. */
const CLIENTS_MAX = 16_384;
const LISTEN_DEADLINE_MS = 5_000;

export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly retryMs: number;
  /** For events: the service it serves now. */
  readonly serviceName: () => string;
  readonly onConnection: (wire: Wire) => void;
}

/** One address the proxy accepts on. Binding is retried for as long as it is wanted. */
export interface Listener {
  status(): ListenerStatus;
  /** Resolves once it was bound, or failed for the first time. */
  readonly settled: Promise<void>;
  /** Stops accepting at once; established connections go on. */
  close(): void;
}

/** `127.0.0.1:3000`, `[::1]:3000`, `unix:/run/web.sock`. */
export function listenText(address: ListenAddress): string {
  return "path" in address ? `unix:${address.path}` : addressOf(address.host, address.port);
}

export function openListener(options: ListenerOptions): Listener {
  const { clock, random, events, retryMs, serviceName } = options;
  const abort = new AbortController();
  let status: ListenerStatus = { address: listenText(options.address), state: "pending" };
  let clients = 0;
  let settle: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });

  function admit(accept: (closed: () => void) => Wire): void {
    const wire = accept(() => clients--);
    if (++clients > CLIENTS_MAX) wire.destroy();
    else options.onConnection(wire);
  }

  async function run(signal: AbortSignal, healthy: () => void): Promise<void> {
    const server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true },
      (socket) => admit((closed) => socketWire(socket, closed)),
    );
    const close = (): void => void server.close();
    // Before anything is awaited: a close must free the address at once, for whoever gets it next.
    signal.addEventListener("abort", close, { once: true });
    try {
      await withDeadline(bind(server, options.address), {
        clock,
        ms: LISTEN_DEADLINE_MS,
        what: `binding ${listenText(options.address)}`,
        side: "config",
      });
      if (signal.aborted) return;
      takeHandles(server, (handle) => admit((closed) => handleWire(handle, closed)));
      status = { address: boundText(server, options.address), state: "bound" };
      healthy();
      await ended(server);
    } finally {
      // An address that stays taken is tried again for ever, and one whose server broke must be free for the next.
      signal.removeEventListener("abort", close);
      server.close();
    }
  }

  keepAlive(run, {
    clock,
    random,
    signal: abort.signal,
    backoff: exponentialBackoff({ minMs: retryMs, maxMs: retryMs }),
    onTransition: (transition) => {
      if (transition.state === "up")
        events.publish("listener.bound", { service: serviceName(), address: status.address });
      else {
        const address = listenText(options.address);
        status = { address, state: "failed", reason: transition.reason };
        events.publish("listener.failed", { service: serviceName(), address, reason: transition.reason });
      }
      settle();
    },
  }).then(settle, (error: unknown) => {
    status = { address: listenText(options.address), state: "failed", reason: String(error) };
    settle();
  });

  return {
    status: () => status,
    settled,
    close() {
      if (abort.signal.aborted) return;
      const wasBound = status.state === "bound";
      abort.abort();
      if (wasBound) events.publish("listener.closed", { service: serviceName(), address: status.address });
    },
  };
}

/** @throws StackError LISTEN_FAILED */
async function bind(server: Server, address: ListenAddress): Promise<void> {
  try {
    await listen(server, address).catch(async (error: NodeJS.ErrnoException) => {
      if (!("path" in address) || error.code !== "EADDRINUSE" || !(await removeStale(address.path))) throw error;
      await listen(server, address);
    });
  } catch (error) {
    throw listenError(address, error as NodeJS.ErrnoException);
  }
}

function listen(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("path" in address ? { path: address.path } : { host: address.host, port: address.port }, resolve);
  });
}

function listenError(address: ListenAddress, error: NodeJS.ErrnoException): StackError {
  const why = LISTEN_REASONS[error.code ?? ""] ?? failureReason(error);
  return new StackError("LISTEN_FAILED", `cannot listen on ${listenText(address)}: ${why}`, {
    side: "config",
    retry: "after-backoff",
  });
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use by another process; stop that one or choose another port",
  EACCES: "not permitted; choose a port above 1023 or allow it",
  EADDRNOTAVAIL: "this host has no such address",
  EAFNOSUPPORT: "this host has no such address family",
};

/** A socket file whose server is dead is in the way of the next one. True when there was one, and it is gone. */
async function removeStale(path: string): Promise<boolean> {
  const file = await lstat(path);
  if (!file.isSocket() || (await answers(path))) return false;
  await unlink(path);
  return true;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}

function boundText(server: Server, address: ListenAddress): string {
  const bound = server.address();
  if ("path" in address || bound === null || typeof bound === "string") return listenText(address);
  return addressOf(address.host, bound.port);
}

function ended(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("close", resolve);
  });
}

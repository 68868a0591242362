import { createServer, type Server } from "node:net";
import {
  type Clock,
  type EventBus,
  exponentialBackoff,
  keepAlive,
  type ListenerStatus,
  type Random,
  withDeadline,
} from "@smartstack/core";
import { addressOf } from "./backend-address.ts";
import { type Bind, bindHere, listenError, listenText } from "./bind.ts";
import { handleWire } from "./handle-wire.ts";
import { type StreamHandle, takeHandles } from "./handles.ts";
import type { ListenAddress } from "./snapshot.ts";
import { socketWire } from "./socket-wire.ts";
import type { Wire } from "./wire.ts";

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
  /** A client was turned away because there are `clientsMax`, or as many in all as the process may have. */
  readonly onRefused: () => void;
  /** More clients than this are turned away: every connection costs memory and a file descriptor. Asked for each. */
  readonly clientsMax: () => number;
  /** Counted up and down with each client, beside those of other listeners; more than `max` of all are turned away. */
  readonly load: { clients: number; max: number };
  /** Where its socket comes from; default: bound in this process. */
  readonly bind?: Bind | undefined;
  /** True: the connection went to another process, and is no more of this one's. */
  readonly handOver?: ((handle: StreamHandle) => boolean) | undefined;
}

/** One address the proxy accepts on. Binding is retried for as long as it is wanted. */
export interface Listener {
  status(): ListenerStatus;
  /** Resolves once it was bound, or failed for the first time. */
  readonly settled: Promise<void>;
  /** Serves a connection that another process accepted on the same address. */
  adopt(handle: StreamHandle): void;
  /** Stops accepting at once; established connections go on. */
  close(): void;
}

export function openListener(options: ListenerOptions): Listener {
  const { clock, random, events, retryMs, serviceName, load, handOver } = options;
  const { bind = bindHere, clientsMax } = options;
  const abort = new AbortController();
  let status: ListenerStatus = { address: listenText(options.address), state: "pending" };
  let clients = 0;
  let settle: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => {
    settle = resolve;
  });

  function admit(accept: (closed: () => void) => Wire): void {
    load.clients++;
    const wire = accept(() => {
      clients--;
      load.clients--;
      wire.onGone?.();
    });
    if (++clients <= clientsMax() && load.clients <= load.max) options.onConnection(wire);
    else {
      wire.destroy();
      options.onRefused();
    }
  }

  const adopt = (handle: StreamHandle): void => admit((closed) => handleWire(handle, closed));

  async function run(signal: AbortSignal, healthy: () => void): Promise<void> {
    const server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true },
      (socket) => admit((closed) => socketWire(socket, closed)),
    );
    const close = (): void => void server.close();
    // Before anything is awaited: a close must free the address at once, for whoever gets it next.
    signal.addEventListener("abort", close, { once: true });
    try {
      const bound = bind(server, options.address).catch((error: NodeJS.ErrnoException) => {
        throw listenError(options.address, error);
      });
      await withDeadline(bound, {
        clock,
        ms: LISTEN_DEADLINE_MS,
        what: `binding ${listenText(options.address)}`,
        side: "config",
      });
      if (signal.aborted) return;
      takeHandles(server, (handle) => {
        if (handOver?.(handle) !== true) adopt(handle);
      });
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
    adopt,
    close() {
      if (abort.signal.aborted) return;
      const wasBound = status.state === "bound";
      abort.abort();
      if (wasBound) events.publish("listener.closed", { service: serviceName(), address: status.address });
    },
  };
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

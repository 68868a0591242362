import { createServer, type Server } from "node:http";
import { type Clock, type EventBus, keepAlive, type Random, StackError, sleep, systemRandom } from "@smartstack/core";
import { type AdminAddress, addressText, parseAddress } from "./address.ts";
import { eventsStream } from "./events-stream.ts";
import { createMetrics } from "./metrics.ts";
import { respond } from "./server.ts";
import { bindServer } from "./socket.ts";
import type { AdminSources } from "./sources.ts";

const HEAD_MS_MAX = 5_000;
const REQUEST_MS_MAX = 10_000;
const IDLE_MS_MAX = 5_000;
const CONNECTIONS_MAX = 256;
/** What is being answered when the API closes gets this long. */
const CLOSE_GRACE_MS = 500;

export interface AdminOptions {
  /** `127.0.0.1:3210`, `[::1]:3210` or `unix:/path`. */
  readonly listen: string;
  /** Who has it may change states over TCP; without one nobody may. */
  readonly token?: string;
  readonly sources: AdminSources;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly random?: Random;
}

/** The HTTP API of one process. */
export interface Admin {
  /**
   * Resolves when it listens or has failed to once; never rejects. A taken address is an event `admin.failed`, and is
   * tried again in the background.
   */
  start(): Promise<void>;
  /** Where it listens, with the port it really has; undefined while it does not. */
  address(): string | undefined;
  /** Ends within a second, streams included. Idempotent. */
  close(): Promise<void>;
}

/**
 * The admin API. Counts events from the moment of its making, as what connects before it listens must not be missed.
 * @throws StackError CONFIG_INVALID when `listen` is no address.
 */
export function createAdmin(options: AdminOptions): Admin {
  const { sources, events, clock, random = systemRandom } = options;
  const wanted = parseAddress(options.listen);
  const stream = eventsStream(events, clock);
  const metrics = createMetrics(sources, events);
  const ending = new AbortController();
  let bound: string | undefined;
  let running: Promise<void> = Promise.resolve();
  let closing: Promise<void> | undefined;

  const listenHost = "host" in wanted ? wanted.host : undefined;
  const deps = { sources, stream, token: options.token, listenHost, metrics: metrics.render };
  const server = createServer(
    { headersTimeout: HEAD_MS_MAX, requestTimeout: REQUEST_MS_MAX, keepAliveTimeout: IDLE_MS_MAX },
    (message, response) => void respond(message, response, deps),
  );
  server.maxConnections = CONNECTIONS_MAX;

  async function serve(signal: AbortSignal, healthy: () => void): Promise<void> {
    await bindServer(server, wanted, clock);
    bound = boundAddress(server, wanted);
    events.publish("admin.listening", { address: bound });
    healthy();
    try {
      await lifetime(server, signal);
    } finally {
      bound = undefined;
      // A server that broke while listening still counts as listening, and could not be bound again.
      if (!signal.aborted) server.close();
    }
  }

  async function end(): Promise<void> {
    ending.abort();
    stream.close();
    await running;
    const patience = new AbortController();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await Promise.race([closed, sleep(clock, CLOSE_GRACE_MS, patience.signal)]);
    patience.abort();
    server.closeAllConnections();
    metrics.close();
  }

  return {
    start() {
      return new Promise((resolve) => {
        running = keepAlive(serve, {
          clock,
          random,
          signal: ending.signal,
          onTransition(transition) {
            if (transition.state === "down")
              events.publish("admin.failed", { address: addressText(wanted), reason: transition.reason });
            resolve();
          },
        });
        void running.then(resolve);
      });
    },
    address: () => bound,
    close() {
      closing ??= end();
      return closing;
    },
  };
}

/** Until the server breaks, or is told to end. */
function lifetime(server: Server, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    server.once("error", (cause) =>
      reject(
        new StackError("LISTEN_FAILED", "the admin API's socket broke", {
          side: "self",
          retry: "after-backoff",
          cause,
        }),
      ),
    );
  });
}

function boundAddress(server: Server, wanted: AdminAddress): string {
  const address = server.address();
  if ("path" in wanted || address === null || typeof address === "string") return addressText(wanted);
  return addressText({ host: wanted.host, port: address.port });
}

import type { Clock, EventBus, Random, ServiceCounters } from "@smartstack/core";
import type { Pool } from "./pool.ts";
import type { ServiceSpec } from "./snapshot.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** What every connection needs of the process it runs in. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly wheel: TimerWheel;
}

/** One client's connection, as far as closing a service needs to know it. */
export interface Client {
  /** A request is running, or bytes flow that belong to nobody else. */
  isBusy(): boolean;
  /** Ends it now, whatever runs. */
  destroy(): void;
}

/** One service while it runs. Connections hold it, and read `spec` anew for each request. */
export interface Service {
  spec: ServiceSpec;
  revision: number;
  /** No more requests on kept connections: the service was removed or the proxy is closing. */
  draining: boolean;
  readonly pool: Pool;
  readonly clients: Set<Client>;
  readonly counters: { -readonly [K in Exclude<keyof ServiceCounters, "responses" | "activeClients">]: number } & {
    readonly responses: number[];
  };
}

export function createService(spec: ServiceSpec, revision: number, pool: Pool): Service {
  return {
    spec,
    revision,
    draining: false,
    pool,
    clients: new Set(),
    counters: { connections: 0, requests: 0, responses: [0, 0, 0, 0, 0, 0], noBackend: 0, retries: 0, refused: 0 },
  };
}

import type { Clock, EventBus, Random, ServiceCounters } from "@smartstack/core";
import type { Pool } from "./pool.ts";
import { newRetryBudget, type RetryBudget, takeRetry } from "./retry-budget.ts";
import type { Shedding } from "./shedding.ts";
import { DEFAULT_RETRY_BUDGET, type ServiceSpec } from "./snapshot.ts";
import { createSources, type Sources } from "./sources.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** What every connection needs of the process it runs in. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly wheel: TimerWheel;
  readonly shedding: Readonly<Shedding>;
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
  /** No more requests on kept connections: the service was removed or the proxy is closing. */
  draining: boolean;
  readonly pool: Pool;
  readonly clients: Set<Client>;
  retryBudget: RetryBudget;
  readonly sources: Sources;
  readonly counters: {
    -readonly [K in Exclude<keyof ServiceCounters, "responses" | "activeClients" | "waiting">]: number;
  } & {
    readonly responses: number[];
  };
}

export function createService(spec: ServiceSpec, pool: Pool, nowMs: number): Service {
  return {
    spec,
    draining: false,
    pool,
    clients: new Set(),
    retryBudget: newRetryBudget(spec.retryBudget ?? DEFAULT_RETRY_BUDGET, nowMs),
    sources: createSources(),
    counters: {
      connections: 0,
      requests: 0,
      responses: [0, 0, 0, 0, 0, 0],
      noBackend: 0,
      retries: 0,
      retryBudgetSpent: 0,
      queued: 0,
      queueTimeouts: 0,
      queueFull: 0,
      refused: 0,
      sourceLimited: 0,
      shed: 0,
    },
  };
}

/** Asks the service's budget for one retry; a refusal is counted. */
export function mayAffordRetry(service: Service, nowMs: number): boolean {
  const { spec, counters, retryBudget } = service;
  const { granted, budget } = takeRetry(
    retryBudget,
    spec.retryBudget ?? DEFAULT_RETRY_BUDGET,
    counters.requests,
    nowMs,
  );
  service.retryBudget = budget;
  if (!granted) counters.retryBudgetSpent++;
  return granted;
}

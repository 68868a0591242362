import { type Clock, sleep } from "@smartstack/core";
import type { CloseOptions } from "./data-plane.ts";
import type { Service } from "./service.ts";

const LOOK_EVERY_MS = 20;

export interface ClosingOptions {
  readonly clock: Clock;
  readonly services: () => readonly Service[];
  readonly stopListening: () => void;
  readonly stopTimers: () => void;
}

/**
 * The proxy's end, shared by all calls of `close`: drains until nothing runs or the shortest grace anyone gave is over,
 * then closes everything. Kept HTTP connections without a request do not hold it up, unless every call asks for that.
 */
export function closeServices(options: ClosingOptions): (close: CloseOptions) => Promise<void> {
  const { clock, services, stopListening, stopTimers } = options;
  let endMs = Number.POSITIVE_INFINITY;
  let patient = true;
  let whole: Promise<void> | undefined;

  async function drain(): Promise<void> {
    for (const service of services()) service.draining = true;
    while (clock.monotonic() < endMs && services().some(patient ? hasClients : isBusy)) {
      await sleep(clock, Math.min(LOOK_EVERY_MS, Math.max(0, endMs - clock.monotonic())));
    }
    stopListening();
    for (const service of services()) {
      for (const client of [...service.clients]) client.destroy();
      service.pool.stop();
    }
    stopTimers();
  }

  return ({ graceMs, acceptWhileDraining = true, waitForKept = false }) => {
    patient &&= waitForKept;
    endMs = Math.min(endMs, clock.monotonic() + graceMs);
    if (!acceptWhileDraining) stopListening();
    whole ??= drain();
    return whole;
  };
}

function hasClients(service: Service): boolean {
  return service.clients.size > 0;
}

function isBusy(service: Service): boolean {
  for (const client of service.clients) if (client.isBusy()) return true;
  return false;
}

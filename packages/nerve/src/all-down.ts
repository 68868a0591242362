import type { EventBus } from "@smartstack/core";
import type { Registration } from "./registrations.ts";

/** Docker's default interval of a HEALTHCHECK: within it the engine notices one cause at every container. */
const HEALTHCHECK_MS = 30_000;

type Fallen = Pick<Registration, "key" | "health" | "fellMs"> & {
  readonly offer: { readonly checks: Registration["offer"]["checks"] };
};

/**
 * Those of a service's instances that stay announced although their checks fail (`on_all_down: keep`): where none is up
 * any more, those that fell last, together. That all fail at once tells more of what they have in common (this nerve,
 * its network, something they all call) than of each of them. What fell before, while others were up, stays out. Pure.
 */
export function heldUp<T extends Fallen>(service: readonly T[]): readonly T[] {
  if (service.some(({ health }) => health === "up")) return [];
  const fallen = service.filter(({ fellMs }) => fellMs !== undefined);
  const lastMs = Math.max(...fallen.map(({ fellMs }) => fellMs ?? 0));
  return fallen.filter((one) => (one.fellMs ?? 0) >= lastMs - noticedWithinMs(one));
}

/** Checks run apart from each other, so one cause is noticed at one instance this much earlier than at another. */
function noticedWithinMs({ offer }: Fallen): number {
  const times = offer.checks.map(({ type, intervalMs, timeoutMs, fall }) =>
    type === "docker" ? HEALTHCHECK_MS : (intervalMs + timeoutMs) * fall,
  );
  return Math.max(0, ...times);
}

/** Which keys are held up, service by service, as of the last review. */
export interface Holdings {
  has(service: string, key: string): boolean;
  services(): Iterable<string>;
  /** Makes `keys` all that is held of a service; returns those for which that is a change. */
  hold(service: string, keys: readonly string[]): readonly string[];
}

/** Tells one event for each service that begins to be held, and one when that ends. */
export function holdings(events: EventBus): Holdings {
  const held = new Map<string, ReadonlySet<string>>();
  return {
    has: (service, key) => held.get(service)?.has(key) === true,
    services: () => held.keys(),
    hold(service, keys) {
      const before = held.get(service);
      if (before === undefined && keys.length === 0) return [];
      const now = new Set(keys);
      if (now.size > 0) held.set(service, now);
      else held.delete(service);
      if (before === undefined) events.publish("service.held", { service, instances: now.size });
      else if (now.size === 0) events.publish("service.released", { service });
      return [...new Set([...now, ...(before ?? [])])].filter((key) => now.has(key) !== (before?.has(key) === true));
    },
  };
}

import type { Registration } from "./registrations.ts";

/** Docker's default interval of a HEALTHCHECK: within it the engine notices one cause at every container. */
const HEALTHCHECK_MS = 30_000;

type Fallen = Pick<Registration, "key" | "health" | "fellMs"> & {
  readonly offer: { readonly service: string; readonly checks: Registration["offer"]["checks"] };
};

/**
 * Those that stay announced although their checks fail, by service (`on_all_down: keep`): where no instance is up any
 * more, those that fell last, together. That all fail at once tells more of what they have in common (this nerve, its
 * network, something they all call) than of each of them. What fell before, while others were up, stays out. Pure.
 */
export function heldUp<T extends Fallen>(registrations: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const held = new Map<string, readonly T[]>();
  for (const [service, all] of byService(registrations)) {
    if (all.some(({ health }) => health === "up")) continue;
    const fallen = all.filter(({ fellMs }) => fellMs !== undefined);
    const lastMs = Math.max(...fallen.map(({ fellMs }) => fellMs ?? 0));
    const together = fallen.filter((one) => (one.fellMs ?? 0) >= lastMs - noticedWithinMs(one));
    if (together.length > 0) held.set(service, together);
  }
  return held;
}

/** Checks run apart from each other, so one cause is noticed at one instance this much earlier than at another. */
function noticedWithinMs({ offer }: Fallen): number {
  const times = offer.checks.map(({ type, intervalMs, timeoutMs, fall }) =>
    type === "docker" ? HEALTHCHECK_MS : (intervalMs + timeoutMs) * fall,
  );
  return Math.max(0, ...times);
}

function byService<T extends Fallen>(registrations: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const services = new Map<string, T[]>();
  for (const one of registrations) {
    const known = services.get(one.offer.service);
    if (known === undefined) services.set(one.offer.service, [one]);
    else known.push(one);
  }
  return services;
}

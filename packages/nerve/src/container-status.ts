import type { ContainerStatus, Instance, InstanceState, RegistrationStatus } from "@smartstack/core";
import { formatAddress } from "./addresses.ts";
import { checkText } from "./checks/index.ts";
import { type Judged, nameOf } from "./docker-source.ts";
import type { Registration } from "./registrations.ts";

export interface StatusContext {
  readonly entries: ReadonlyMap<string, Instance>;
  readonly registrations: readonly Registration[];
  readonly state: (key: string) => InstanceState;
}

/** A container for `status` and `explain`: what it is registered as, and why not as more. Pure. */
export function containerStatus(judged: Judged, context: StatusContext): ContainerStatus {
  const { tracked, out, verdict } = judged;
  const mine = context.registrations.filter((registration) => registration.container === tracked.id);
  const refusals = [
    ...(out === undefined ? [] : [out]),
    ...verdict.refusals,
    ...(verdict.ignored === undefined ? [] : [verdict.ignored]),
  ];
  const stale = tracked.problem === undefined ? [] : [`what is known may be old: ${tracked.problem}`];
  return {
    id: tracked.id,
    name: nameOf(tracked),
    ...(tracked.facts?.image ? { image: tracked.facts.image } : {}),
    running: tracked.facts?.running ?? false,
    registrations: mine.map((registration) => registrationStatus(registration, context)),
    refusals,
    warnings: [...verdict.warnings, ...stale],
  };
}

/** A service from configuration, in the same shape. Pure. */
export function configStatus(registration: Registration, context: StatusContext): ContainerStatus {
  return {
    id: registration.offer.id,
    name: registration.offer.service,
    running: true,
    registrations: [registrationStatus(registration, context)],
    refusals: [],
    warnings: [],
  };
}

function registrationStatus(registration: Registration, context: StatusContext): RegistrationStatus {
  const { offer, key, health, reason, sinceMs } = registration;
  const announced = context.entries.has(key);
  return {
    service: offer.service,
    id: offer.id,
    address: formatAddress(offer.instance.host, offer.instance.port),
    addressReason: offer.addressReason,
    check: offer.checks.map(checkText).join(", ") || "none",
    health,
    state: context.state(key),
    announced,
    reason: health === "up" && !announced ? `${reason}; waits for the registry` : reason,
    sinceMs,
  };
}

import type { ContainerStatus, Instance, InstanceState, RegistrationStatus } from "@smartstack/core";
import { formatAddress } from "./addresses.ts";
import { checkText } from "./checks/index.ts";
import { type Judged, nameOf } from "./docker-source.ts";
import type { Registration, Registrations } from "./registrations.ts";

export interface StatusContext {
  /** What lies in the registry, by entryKey. */
  readonly entries: ReadonlyMap<string, Instance>;
  /** Why the registry does not take it. */
  readonly refusal: (key: string) => string | undefined;
  readonly registrationsOf: Registrations["of"];
  /** By entryKey: announced on though their checks fail. */
  readonly held: ReadonlySet<string>;
  readonly state: (key: string) => InstanceState;
}

/** Every container, and every service from configuration, with the reason for what it is. Pure. */
export function allStatus(
  judged: ReadonlyMap<string, Judged> | undefined,
  context: StatusContext,
): readonly ContainerStatus[] {
  const configured = context.registrationsOf(undefined);
  return [
    ...[...(judged?.values() ?? [])].map((one) => containerStatus(one, context)),
    ...configured.map((one) => configStatus(one, context)),
  ];
}

/** A container for `status` and `explain`: what it is registered as, and why not as more. Pure. */
function containerStatus(judged: Judged, context: StatusContext): ContainerStatus {
  const { tracked, out, verdict } = judged;
  // What does not run has neither address nor ports: what follows from that is no news.
  const refusals = out === undefined ? verdict.refusals : [out];
  const { lifecycle } = tracked;
  const odd = lifecycle.phase === "in" && lifecycle.note !== undefined ? [lifecycle.note] : [];
  const stale = tracked.problem === undefined ? [] : [`what is known may be old: ${tracked.problem}`];
  return {
    id: tracked.id,
    name: nameOf(tracked),
    ...(tracked.facts?.image ? { image: tracked.facts.image } : {}),
    running: tracked.facts?.running ?? false,
    registrations: context.registrationsOf(tracked.id).map((registration) => registrationStatus(registration, context)),
    asks: verdict.asks,
    ...(verdict.ignored === undefined ? {} : { ignored: verdict.ignored }),
    refusals,
    warnings: [...verdict.warnings, ...odd, ...stale],
  };
}

/** A service from configuration, in the same shape. Pure. */
function configStatus(registration: Registration, context: StatusContext): ContainerStatus {
  return {
    id: registration.offer.id,
    name: registration.offer.service,
    running: true,
    registrations: [registrationStatus(registration, context)],
    asks: [registration.offer.service],
    refusals: [],
    warnings: [],
  };
}

function registrationStatus(registration: Registration, context: StatusContext): RegistrationStatus {
  const { offer, key, health, reason, sinceMs } = registration;
  const output = lastOutput(registration);
  const entry = context.entries.get(key);
  const announced = entry !== undefined;
  const refusal = context.refusal(key);
  const waits = health === "up" && !announced && refusal === undefined ? "; waits for the registry" : "";
  const refused = refusal === undefined ? "" : `; the registry refuses it: ${refusal}`;
  const held = context.held.has(key) ? "; stays announced, as every instance of its service here fails" : "";
  return {
    service: offer.service,
    id: offer.id,
    namedBy: offer.namedBy,
    address: formatAddress(offer.instance.host, offer.instance.port),
    addressReason: offer.addressReason,
    otherAddresses: offer.otherAddresses,
    check: offer.checks.map(checkText).join(", ") || "none",
    health,
    state: context.state(key),
    announced,
    ...(entry === undefined ? {} : { announcedState: entry.state ?? "up" }),
    reason: `${reason}${waits}${refused}${held}`,
    ...(output === undefined ? {} : { output }),
    sinceMs,
  };
}

/** Of several checks, that of one which keeps it from being up. */
function lastOutput({ probers }: Registration): string | undefined {
  const outputs = probers.map((prober) => prober.health()).filter(({ output }) => output !== undefined);
  return (outputs.find(({ state }) => state !== "up") ?? outputs[0])?.output;
}

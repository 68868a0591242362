import { containerInstanceId, type Instance, nodeInstanceId } from "@smartstack/core";
import { type AddressChoice, type AddressPolicy, chooseAddress } from "./addresses.ts";
import { CHECKS, type CheckSpec, optionsOf } from "./checks/index.ts";
import type { CheckDefaults, ConfigService, NerveConfig } from "./config.ts";
import type { ConfigCheck } from "./config-check.ts";
import { configInstance } from "./config-instance.ts";
import type { ContainerFacts } from "./containers.ts";
import type { DockerConfig } from "./docker-config.ts";
import { sizeProblem } from "./document-size.ts";
import { type LabelledService, readLabels } from "./labels.ts";
import { otherAddresses } from "./other-addresses.ts";
import type { NoPlace, Place } from "./place.ts";

/** One instance that should be announced as long as its checks pass. */
export interface Offer {
  readonly service: string;
  readonly id: string;
  /** The document, without what only runtime knows: name, node, boot, state and since. */
  readonly instance: Instance;
  /** What gave it its name and its port, why it has its address, and why none of its other ones; all for people. */
  readonly namedBy: string;
  readonly addressReason: string;
  readonly otherAddresses: readonly string[];
  readonly checks: readonly CheckSpec[];
}

export interface OffersVerdict {
  readonly offers: readonly Offer[];
  /** The names of the services it asks for, offered or not. */
  readonly asks: readonly string[];
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  /** Set when it asks for nothing. */
  readonly ignored?: string;
  /** What it offers depends on what is not known yet: no verdict on what lies in the registry. */
  readonly pending?: true;
}

export type HostPolicy = Omit<AddressPolicy, "mode" | "network">;

/** What a container offers at its place. Pure. */
export function containerOffers(
  facts: ContainerFacts,
  place: Place | NoPlace,
  docker: Omit<DockerConfig, "host">,
  defaults: CheckDefaults,
  host: HostPolicy,
): OffersVerdict {
  const verdict = readLabels(facts, {
    conventions: docker.conventions,
    exposeByDefault: docker.expose_by_default,
  });
  const offers: Offer[] = [];
  const refusals = [...verdict.refusals];
  const warnings = [...verdict.warnings];
  let pending = "pending" in place ? { pending: true as const } : {};
  for (const labelled of verdict.services) {
    const offer = "refused" in place ? place : offerOf(facts, place, labelled, docker, defaults, host);
    if ("refused" in offer) {
      refusals.push(`${labelled.service}: ${offer.refused}`);
      if (offer.pending) pending = { pending: true };
    } else if (offers.some((other) => other.service === offer.service && other.id === offer.id))
      refusals.push(`${labelled.service}: port ${labelled.port.port} is named twice`);
    else {
      offers.push(offer);
      warnings.push(...idleCheckKeys(labelled, offer.checks));
    }
  }
  const { asks, ignored } = verdict;
  return { offers, asks, refusals, warnings, ...pending, ...(ignored === undefined ? {} : { ignored }) };
}

function offerOf(
  facts: ContainerFacts,
  place: Place,
  labelled: LabelledService,
  docker: Omit<DockerConfig, "host">,
  defaults: CheckDefaults,
  host: HostPolicy,
): Offer | NoPlace {
  const { port } = labelled;
  const policy: AddressPolicy = {
    ...host,
    mode: labelled.address ?? docker.address,
    network: labelled.network ?? docker.network,
  };
  const choice = chooseAddress(place, port, policy);
  if ("refused" in choice) return choice;
  const check = containerCheck(facts, labelled, defaults, choice);
  if ("refused" in check) return check;
  const id = containerInstanceId(facts.id, port.port, port.protocol);
  const { weight, zone, backup, meta } = labelled;
  const instance: Instance = {
    host: choice.host,
    port: choice.port,
    ...(weight === undefined ? {} : { weight }),
    // In HAProxy's word, which every reader of nerve's payload knows.
    ...(backup ? { haproxyServerOptions: "backup" } : {}),
    ...(Object.keys(meta).length === 0 ? {} : { labels: meta }),
    id,
    listen: labelled.listen ?? port.port,
    mode: labelled.mode ?? (CHECKS[check.type].plainHttp?.(check.options) ? "http" : "tcp"),
    ...(port.protocol === "udp" ? { protocol: "udp" as const } : {}),
    ...(zone === undefined ? {} : { zone }),
    container: facts.id.slice(0, 12),
    ...(facts.image === "" ? {} : { image: facts.image }),
  };
  const refused = sizeProblem(instance);
  if (refused !== undefined) return { refused };
  return {
    service: labelled.service,
    id,
    instance,
    namedBy: labelled.namedBy,
    addressReason: choice.reason,
    otherAddresses: otherAddresses(place, port, policy, choice),
    checks: [check],
  };
}

/** By label; else HEALTHCHECK; else TCP. UDP has no handshake to probe. */
function containerCheck(
  facts: ContainerFacts,
  labelled: LabelledService,
  defaults: CheckDefaults,
  choice: Extract<AddressChoice, { readonly host: string }>,
): CheckSpec | { readonly refused: string } {
  const { check, port } = labelled;
  const type = check?.type ?? (facts.health !== undefined ? "docker" : port.protocol === "udp" ? "none" : "tcp");
  if (type === "docker" && facts.health === undefined)
    return { refused: "smartstack.check=docker, but the container has no HEALTHCHECK" };
  const { active } = CHECKS[type];
  if (active && port.protocol === "udp" && check?.port === undefined)
    return {
      refused: `a ${type} check cannot probe UDP: give it a TCP port (smartstack.check=${type}:<port>) or none`,
    };
  const probe = probeTarget(choice, check?.port, port.port);
  if (active && probe === undefined)
    return {
      refused: `nerve cannot reach network ${choice.network ?? "of the container"}: use host network, attach it, or smartstack.check=docker|none`,
    };
  return {
    type,
    host: probe?.host ?? choice.host,
    port: probe?.port ?? choice.port,
    options: optionsOf(type, check?.path === undefined ? {} : { path: check.path }),
    published: probe?.published ?? false,
    intervalMs: labelled.intervalMs ?? defaults.interval,
    timeoutMs: labelled.timeoutMs ?? defaults.timeout,
    // Docker counts its own retries before it says healthy or unhealthy, and then says nothing more.
    rise: active ? (labelled.rise ?? defaults.rise) : 1,
    fall: active ? (labelled.fall ?? defaults.fall) : 1,
    damping: defaults.damping,
  };
}

/** What is said of the pace of a check that has none. */
function idleCheckKeys(labelled: LabelledService, checks: readonly CheckSpec[]): string[] {
  const [check] = checks;
  if (check === undefined || CHECKS[check.type].active) return [];
  const { service, intervalMs: interval, timeoutMs: timeout, rise, fall } = labelled;
  const said = Object.entries({ interval, timeout, rise, fall }).filter(([, value]) => value !== undefined);
  if (said.length === 0) return [];
  const why = check.type === "docker" ? "the container's HEALTHCHECK has its own" : "nothing is probed";
  return [`${service}: ${said.map(([key]) => `check.${key}`).join(", ")} has no effect: ${why}`];
}

function probeTarget(
  choice: Extract<AddressChoice, { readonly host: string }>,
  checkPort: number | undefined,
  containerPort: number,
): { readonly host: string; readonly port: number; readonly published: boolean } | undefined {
  if (checkPort === undefined || checkPort === containerPort || choice.probe === undefined) return choice.probe;
  // Behind a published port only that one port can be reached.
  return choice.probe.published ? undefined : { ...choice.probe, port: checkPort };
}

/** The instances of `services:`. Pure. */
export function configOffers(config: NerveConfig, node: string): Offer[] {
  return Object.entries(config.services).map(([service, spec]) => configOffer(service, spec, config.check, node));
}

function configOffer(service: string, spec: ConfigService, defaults: CheckDefaults, node: string): Offer {
  const id = nodeInstanceId(node, spec.port);
  const checks = spec.checks.map((check) => configCheckSpec(check, spec, defaults));
  const origin = { namedBy: "the configuration", addressReason: "from the configuration", otherAddresses: [] };
  return { service, id, instance: configInstance(spec, id), ...origin, checks };
}

function configCheckSpec(check: ConfigCheck, spec: ConfigService, defaults: CheckDefaults): CheckSpec {
  const timeoutMs = check.timeout ?? defaults.timeout;
  return {
    type: check.type,
    host: check.host ?? spec.host,
    port: check.port ?? spec.port,
    options: check.options,
    published: false,
    intervalMs: spec.check_interval ?? defaults.interval,
    timeoutMs: CHECKS[check.type].timeoutMs?.(check.options, timeoutMs) ?? timeoutMs,
    rise: check.rise ?? defaults.rise,
    fall: check.fall ?? defaults.fall,
    damping: check.damping ?? defaults.damping,
  };
}

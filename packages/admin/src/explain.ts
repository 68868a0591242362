import {
  type BackendStatus,
  type ContainerStatus,
  didYouMean,
  type RegistrationStatus,
  type ServiceStatus,
  type StackStatus,
} from "@smartstack/core";
import { meansBackend, meansContainer } from "./find.ts";

/** Everything that is known under a name, and what becomes of it, in sentences. */
export interface Explanation {
  readonly name: string;
  readonly found: boolean;
  /** For people: the service that was asked for, then each container, down to the proxy; what belongs to a line stands indented below it. */
  readonly lines: readonly string[];
  readonly services: readonly ServiceStatus[];
  readonly containers: readonly ContainerStatus[];
}

/** What a process knows. */
export interface Known {
  readonly status: StackStatus;
  readonly services: readonly ServiceStatus[];
  readonly containers: readonly ContainerStatus[];
}

/** Says for a service, a container or an instance whether it is registered and routed, and why. Pure. */
export function explain(name: string, known: Known): Explanation {
  const containers = known.containers.filter(
    (container) =>
      meansContainer(name, container) ||
      container.asks.includes(name) ||
      container.registrations.some(({ id, service }) => id === name || service === name),
  );
  const offered = new Set(containers.flatMap(({ registrations }) => registrations.map(({ id }) => id)));
  const services = known.services.flatMap((service) => {
    if (service.name === name) return [service];
    const backends = service.backends.filter((backend) => offered.has(backend.id) || meansBackend(name, backend));
    return backends.length === 0 ? [] : [{ ...service, backends }];
  });
  const found = containers.length + services.length > 0;
  // What a container's own lines tell is not told again, unless the service itself was asked for.
  const asked = services.filter((service) => service.name === name);
  const elsewhere = services.flatMap((service) => {
    const backends = service.backends.filter(({ id }) => !offered.has(id));
    return service.name === name || backends.length === 0 ? [] : [{ ...service, backends }];
  });
  const blocks = [
    ...asked.map(serviceLines),
    ...containers.map((container) => containerLines(container, known)),
    ...elsewhere.map(serviceLines),
  ];
  const lines = found ? blocks.flatMap((block, i) => (i === 0 ? block : ["", ...block])) : notFound(name, known);
  return { name, found, lines, services, containers };
}

function notFound(name: string, { status, services, containers }: Known): string[] {
  const names = [...services, ...containers].flatMap((each) => [each.name, ...("asks" in each ? each.asks : [])]);
  const near = didYouMean(name, new Set(names));
  return [
    `nothing here is called ${name}: no service, no container, no instance, and no container id begins so` +
      `${near === undefined ? "" : `; did you mean ${near}?`}`,
    ...status.unseen.map((sentence) => `  ${sentence}`),
    ...status.readiness.filter(({ ready }) => !ready).map(({ part, reason }) => `  ${part}: ${reason}`),
  ];
}

function containerLines(container: ContainerStatus, known: Known): string[] {
  const { name, id, image, running, registrations } = container;
  const what = [id.slice(0, 12), ...(image === undefined ? [] : [`image ${image}`])].join(", ");
  const verdict = registrations.length > 0 ? "" : `: ${unregisteredText(container)}`;
  return [
    `container ${name} (${what}), ${running ? "running" : "not running"}${verdict}`,
    ...container.refusals.map((reason) => `  ${registrations.length > 0 ? "refused " : "because "}  ${reason}`),
    ...container.warnings.map((warning) => `  warning   ${warning}`),
    ...registrations.flatMap((each) => registrationLines(each, known)),
  ];
}

function unregisteredText({ asks, ignored }: ContainerStatus): string {
  if (ignored !== undefined) return `not registered: ${ignored}`;
  return asks.length === 0 ? "not registered" : `not registered as ${asks.join(", ")}`;
}

function registrationLines(registration: RegistrationStatus, known: Known): string[] {
  const { service, id, namedBy, address, addressReason, otherAddresses, check, health, output } = registration;
  return [
    `  offers ${service} as ${id}`,
    `    named by  ${namedBy}`,
    `    address   ${address}: ${addressReason}`,
    ...otherAddresses.map((other) => `      not     ${other}`),
    `    check     ${check}: ${health} since ${timeText(registration.sinceMs)}: ${registration.reason}`,
    ...(output === undefined ? [] : [`      output  ${output}`]),
    `    registry  ${registryText(registration, known.status)}`,
    ...proxyLines(registration, known).map((line) => `    proxy     ${line}`),
  ];
}

function registryText({ announced, state, service, id, health }: RegistrationStatus, status: StackStatus): string {
  // The first is the default one, which nerve writes to.
  const [registry] = status.registries;
  const where = registry === undefined ? "" : ` in ${registry.type} (${registry.target})`;
  const away = registry?.connected === false ? `; it is away: ${registry.lastError ?? "no reason given"}` : "";
  if (announced) return `announced as ${state}${where}, under ${service}/${id}${away}`;
  if (health !== "up") return `not announced${where}: its check is ${health}`;
  return `not announced${where} yet${away}`;
}

function proxyLines(registration: RegistrationStatus, { status, services }: Known): string[] {
  const { service, id, announced } = registration;
  if (status.role === "nerve") return ["none in this process: ask a synapse (port 3210 by default)"];
  const routed = services.find(({ name }) => name === service);
  const unannounced = "it is not announced, so no proxy knows it";
  if (routed === undefined)
    return [announced ? `${service} is not served here: see synapse.discover and synapse.services` : unannounced];
  const backend = routed.backends.find((each) => each.id === id);
  const unknown = announced ? "the registry has not told of it yet" : unannounced;
  return [...listenerTexts(routed), ...problemTexts(routed), backend === undefined ? unknown : backendText(backend)];
}

function serviceLines(service: ServiceStatus): string[] {
  const backends = service.backends.map((backend) => {
    const { id, address, node } = backend;
    return `  backend   ${id} at ${address}${node === undefined ? "" : `, node ${node}`}: ${backendText(backend)}`;
  });
  return [
    `service ${service.name} (${service.mode})`,
    ...listenerTexts(service).map((text) => `  proxy     ${text}`),
    ...problemTexts(service).map((text) => `  problem   ${text}`),
    ...(backends.length === 0 ? ["  backend   none: no instance of it is announced"] : backends),
  ];
}

function listenerTexts({ listeners }: ServiceStatus): string[] {
  if (listeners.length === 0) return ["has no listener"];
  return listeners.map(({ address, state, reason }) => {
    const verdict = state === "bound" ? "listens" : `does not listen (${state})`;
    return `${verdict} on ${address}${reason === undefined ? "" : `: ${reason}`}`;
  });
}

function problemTexts({ problems, stale }: ServiceStatus): string[] {
  return [...problems, ...(stale === undefined ? [] : [`stale since ${timeText(stale.sinceMs)}: ${stale.reason}`])];
}

function backendText({ usable, reason, sinceMs, local, counters }: BackendStatus): string {
  const set = local === undefined ? "" : `, set to ${local} at this proxy`;
  const served = counters.requests || counters.connections;
  return `${usable ? "gets traffic" : "gets no traffic"} since ${timeText(sinceMs)}: ${reason}${set}; served ${served}, failures ${counters.failures}`;
}

/** To the second, in UTC. Others write to a registry too: their times need not be any. */
function timeText(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime()) ? "an unknown time" : `${time.toISOString().slice(0, 19)}Z`;
}

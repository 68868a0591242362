import type { BackendStatus, ContainerStatus, ServiceStatus } from "@smartstack/core";
import { meansBackend, meansContainer } from "./find.ts";

/** Everything that is known under a name, and what becomes of it, in sentences. */
export interface Explanation {
  readonly name: string;
  readonly found: boolean;
  readonly lines: readonly string[];
  readonly services: readonly ServiceStatus[];
  readonly containers: readonly ContainerStatus[];
}

/** Says for a service, a container or an instance whether it is registered and routed, and why. Pure. */
export function explain(
  name: string,
  services: readonly ServiceStatus[],
  containers: readonly ContainerStatus[],
): Explanation {
  const named = containers.filter(
    (container) =>
      meansContainer(name, container) ||
      container.registrations.some(({ id, service }) => id === name || service === name),
  );
  const ids = new Set(
    named
      .filter((container) => meansContainer(name, container))
      .flatMap(({ registrations }) => registrations.map(({ id }) => id)),
  );
  const concerned = services.flatMap((service) => {
    if (service.name === name) return [service];
    const backends = service.backends.filter((backend) => ids.has(backend.id) || meansBackend(name, backend));
    return backends.length === 0 ? [] : [{ ...service, backends }];
  });
  const lines = [...named.flatMap(containerLines), ...concerned.flatMap(serviceLines)];
  if (lines.length === 0)
    lines.push(`nothing here is called ${name}: no service, no container, no instance, and no container id begins so`);
  return { name, found: named.length + concerned.length > 0, lines, services: concerned, containers: named };
}

function containerLines(container: ContainerStatus): string[] {
  const who = `container ${container.name} (${container.id.slice(0, 12)})`;
  const registrations = container.registrations.map(
    (each) =>
      `${who} offers ${each.service} as ${each.id} at ${each.address} (${each.addressReason}); check ${each.check}: ` +
      `${each.health}; ${each.announced ? `in the registry as ${each.state}` : "not in the registry"}: ${each.reason}`,
  );
  const refusals = container.refusals.map((reason) => `${who} is not registered: ${reason}`);
  const warnings = container.warnings.map((warning) => `${who}: ${warning}`);
  const all = [...registrations, ...refusals, ...warnings];
  if (all.length > 0) return all;
  return [`${who} is not registered: ${container.running ? "nothing in its labels asks for it" : "it does not run"}`];
}

function serviceLines(service: ServiceStatus): string[] {
  const listeners = service.listeners.map(({ address, state, reason }) =>
    reason === undefined ? `${address} ${state}` : `${address} ${state}: ${reason}`,
  );
  const where = listeners.length === 0 ? "has no listener" : `listens on ${listeners.join(", ")}`;
  return [
    `service ${service.name} (${service.mode}) ${where}`,
    ...service.problems.map((problem) => `service ${service.name}: ${problem}`),
    ...(service.stale === undefined ? [] : [`service ${service.name} is stale: ${service.stale.reason}`]),
    ...service.backends.map((backend) => backendLine(service.name, backend)),
  ];
}

function backendLine(service: string, backend: BackendStatus): string {
  const routed = backend.usable ? "gets traffic" : "gets no traffic";
  return `instance ${backend.id} of ${service} at ${backend.address} ${routed}: ${backend.reason}`;
}

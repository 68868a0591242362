import type { ContainerStatus, ServiceStatus, StackStatus } from "@smartstack/core";
import type { AdminClient } from "../admin-client.ts";
import { expectOk, listIn } from "../answer.ts";
import { table } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export interface StatusOptions {
  readonly service?: string;
  readonly json?: boolean;
}

interface Shown {
  readonly process: StackStatus;
  readonly services: readonly ServiceStatus[];
  readonly containers: readonly ContainerStatus[];
}

/** Shows what a running process serves and announces, and why what is missing is missing. Returns the exit code. */
export async function status(terminal: Terminal, client: AdminClient, options: StatusOptions): Promise<number> {
  const shown = only(
    {
      process: expectOk<StackStatus>(await client.get("/api/v1/status")),
      services: listIn<ServiceStatus>(await client.get("/api/v1/services"), "services"),
      containers: listIn<ContainerStatus>(await client.get("/api/v1/containers"), "containers"),
    },
    options.service,
  );
  if (options.json === true) terminal.print(JSON.stringify(shown, null, 2));
  else for (const line of statusLines(shown)) terminal.print(line);
  if (options.service === undefined || shown.services.length > 0 || shown.containers.length > 0) return 0;
  terminal.error(`no service ${options.service} is known here`);
  return 2;
}

/** Pure. */
export function statusLines(shown: Shown): readonly string[] {
  const { process: running, services, containers } = shown;
  const node = running.node === undefined ? "" : `, node ${running.node}`;
  const registries = running.registries.map((registry) => {
    const state = registry.connected ? "connected" : `away: ${registry.lastError ?? "no reason given"}`;
    return `registry ${registry.type} ${registry.target} ${state}`.replace(/ {2,}/g, " ");
  });
  const unready = running.readiness.filter((part) => !part.ready).map((part) => `${part.part}: ${part.reason}`);
  const blocks = [
    [`smartstack ${running.version} ${running.role}${node}`, ...registries, ...unready],
    services.length === 0 ? [] : serviceTable(services),
    services.flatMap((service) => [
      ...(service.stale === undefined ? [] : [`${service.name}: stale: ${service.stale.reason}`]),
      ...service.problems.map((problem) => `${service.name}: ${problem}`),
    ]),
    containers.length === 0 ? [] : containerTable(containers),
    containers.flatMap((container) =>
      [...container.refusals, ...container.warnings].map((text) => `${container.name}: ${text}`),
    ),
  ];
  return blocks.filter((block) => block.length > 0).flatMap((block, i) => (i === 0 ? block : ["", ...block]));
}

function serviceTable(services: readonly ServiceStatus[]): readonly string[] {
  const rows = services.flatMap((service) => {
    const listen = service.listeners
      .map(({ address, state, reason }) => (state === "bound" ? address : `${address} (${reason ?? state})`))
      .join(" ");
    const head = [service.name, listen || "-", service.mode];
    if (service.backends.length === 0) return [[...head, "-", "-", "-", "-", "no backend"]];
    return service.backends.map((backend, i) => [
      ...(i === 0 ? head : ["", "", ""]),
      backend.id,
      backend.address,
      backend.usable ? "yes" : "no",
      String(backend.counters.requests || backend.counters.connections),
      `${backend.reason}${backend.local === undefined ? "" : ` (local: ${backend.local})`}`,
    ]);
  });
  return table([["SERVICE", "LISTEN", "MODE", "INSTANCE", "BACKEND", "USABLE", "SERVED", "WHY"], ...rows]);
}

function containerTable(containers: readonly ContainerStatus[]): readonly string[] {
  const rows = containers.flatMap((container) => {
    const head = [container.name, container.id.slice(0, 12)];
    if (container.registrations.length === 0)
      return [[...head, "-", "-", container.running ? "not registered" : "not running", ""]];
    return container.registrations.map((each) => [
      ...head,
      each.service,
      each.address,
      each.announced ? each.state : each.health,
      each.reason,
    ]);
  });
  return table([["CONTAINER", "ID", "SERVICE", "ADDRESS", "STATE", "WHY"], ...rows]);
}

function only(shown: Shown, service: string | undefined): Shown {
  if (service === undefined) return shown;
  return {
    process: shown.process,
    services: shown.services.filter((each) => each.name === service),
    containers: shown.containers.filter((each) => each.registrations.some((one) => one.service === service)),
  };
}

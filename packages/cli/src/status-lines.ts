import type { ContainerStatus, RegistrationStatus, RegistryStatus, ServiceStatus, StackStatus } from "@smartstack/core";
import { table } from "./table.ts";

export interface Shown {
  readonly process: StackStatus;
  readonly services: readonly ServiceStatus[];
  readonly containers: readonly ContainerStatus[];
}

/** What a process serves and announces, and why; blocks with an empty line between them. Pure. */
export function statusLines({ process, services, containers }: Shown): readonly string[] {
  const considered = containers.filter((container) => !isLeftAlone(container));
  const blocks = [
    processLines(process),
    ...serviceBlocks(services),
    containers.length === 0 ? [] : [countText(containers)],
    considered.length === 0 ? [] : containerLines(considered),
    leftAloneLines(containers.filter(isLeftAlone)),
  ];
  return blocks.filter((block) => block.length > 0).flatMap((block, i) => (i === 0 ? block : ["", ...block]));
}

function processLines({
  version,
  role,
  node,
  registries,
  readiness,
  unseen,
  workers = [],
}: StackStatus): readonly string[] {
  return [
    `smartstack ${version} ${role}${node === undefined ? "" : `, node ${node}`}`,
    ...registries.map((registry) => `registry ${registry.type} (${registry.target}): ${registryState(registry)}`),
    ...readiness.filter((part) => !part.ready).map((part) => `${part.part}: ${part.reason}`),
    ...workers.map(({ pid, state, clients }) => `worker ${pid}: ${state}, ${clients} clients`),
    ...unseen,
  ];
}

function registryState({ connected, sinceMs, stalenessMs, revision, session, lastError }: RegistryStatus): string {
  const proof = stalenessMs === undefined ? "never seen" : `seen ${secondsText(stalenessMs)} ago`;
  if (!connected) return `away for ${secondsText(sinceMs)}, ${proof}: ${lastError ?? "no reason given"}`;
  const facts = [proof, ...(revision === undefined ? [] : [`revision ${revision}`]), ...(session ? [session] : [])];
  return `connected for ${secondsText(sinceMs)}, ${facts.join(", ")}`;
}

function secondsText(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** One table over all services, so that their backends line up, cut at each service's own line. */
function serviceBlocks(services: readonly ServiceStatus[]): readonly (readonly string[])[] {
  const rows = table(
    services.flatMap(({ backends }) =>
      backends.map(({ id, address, usable, counters, weight, effectiveWeight, reason, local, slots }) => [
        `  ${id}`,
        address,
        usable ? "usable" : "not usable",
        `${counters.requests || counters.connections} served`,
        reason +
          (local === undefined ? "" : ` (local: ${local})`) +
          (usable && effectiveWeight !== weight ? `; weight ${Number(effectiveWeight.toFixed(3))} of ${weight}` : "") +
          (slots === undefined ? "" : `; ${counters.active} of ${slots} at once`),
      ]),
    ),
  );
  let next = 0;
  return services.map((service) => {
    const first = next;
    next += service.backends.length;
    return [serviceHead(service), ...rows.slice(first, next), ...serviceProblems(service)];
  });
}

function serviceHead({ name, mode, listeners, backends, counters }: ServiceStatus): string {
  const where = listeners.map(({ address, state, reason }) =>
    state === "bound" ? address : `${address} (${reason ?? state})`,
  );
  const listens = where.length === 0 ? "has no listener" : `listens on ${where.join(" ")}`;
  const usable = backends.filter((backend) => backend.usable).length;
  const behind = backends.length === 0 ? "no backend" : `${usable} of ${backends.length} backends usable`;
  return `${name} (${mode}) ${listens}: ${behind}${counters.waiting === 0 ? "" : `, ${counters.waiting} wait for room`}`;
}

function serviceProblems({ problems, stale }: ServiceStatus): readonly string[] {
  const all = [...problems, ...(stale === undefined ? [] : [`stale: ${stale.reason}`])];
  return all.map((problem) => `  problem: ${problem}`);
}

function isLeftAlone({ ignored, registrations }: ContainerStatus): boolean {
  return ignored !== undefined && registrations.length === 0;
}

function isWell({ registrations, refusals }: ContainerStatus): boolean {
  return registrations.length > 0 && refusals.length === 0 && registrations.every((each) => each.announced);
}

function countText(containers: readonly ContainerStatus[]): string {
  const well = containers.filter(isWell).length;
  const alone = containers.filter(isLeftAlone).length;
  const counts = [
    [well, "registered"],
    [containers.length - well - alone, "not fully registered"],
    [alone, "left alone"],
  ] as const;
  const parts = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return `${containers.length} ${containers.length === 1 ? "container" : "containers"}: ${parts.join(", ")}`;
}

/** By name, those with a problem last: the end of a long list is what stays on a screen. */
function containerLines(containers: readonly ContainerStatus[]): readonly string[] {
  const sorted = [...containers].sort(
    (a, b) => Number(isWell(b)) - Number(isWell(a)) || a.name.localeCompare(b.name, "en", { numeric: true }),
  );
  const [head = "", ...rows] = table([
    ["CONTAINER", "STATE", "SERVICE", "ADDRESS", "CHECK"],
    ...sorted.flatMap((container) => containerRows(container)),
  ]);
  let next = 0;
  const lines = sorted.flatMap((container) => {
    const { registrations, refusals, warnings } = container;
    const first = next;
    next += containerRows(container).length;
    return [
      ...rows.slice(first, next).flatMap((row, i) => [row, ...registrationLines(registrations[i])]),
      ...refusals.map((reason) => `  not registered: ${reason}`),
      ...warnings.map((warning) => `  warning: ${warning}`),
    ];
  });
  return [head, ...lines];
}

function containerRows(container: ContainerStatus): readonly (readonly string[])[] {
  const { name, running, registrations, asks } = container;
  if (registrations.length === 0)
    return [[name, running ? "not registered" : "not running", asks.join(" ") || "-", "-", "-"]];
  return registrations.map((each) => [name, stateText(each), each.service, each.address, checkText(each)]);
}

function stateText({ announced, state, health }: RegistrationStatus): string {
  if (announced) return state;
  return health === "up" ? "unannounced" : health;
}

/** What is probed is most often the address, which stands beside it. */
function checkText({ check, address, reason }: RegistrationStatus): string {
  return `${check.replace(address, "").trimEnd()}: ${reason}`;
}

function registrationLines(registration: RegistrationStatus | undefined): readonly string[] {
  if (registration === undefined) return [];
  const { addressReason, namedBy, output } = registration;
  return [
    `  address: ${addressReason}`,
    `  named by ${namedBy}`,
    ...(output === undefined ? [] : [`  last output: ${output}`]),
  ];
}

/** One line a reason: most containers of a host have the same. */
function leftAloneLines(containers: readonly ContainerStatus[]): readonly string[] {
  const byReason = new Map<string, string[]>();
  for (const { name, ignored = "" } of containers) byReason.set(ignored, [...(byReason.get(ignored) ?? []), name]);
  const lines = [...byReason].map(([reason, names]) => `  ${reason}: ${names.sort().join(", ")}`);
  return lines.length === 0 ? [] : ["left alone, not registered:", ...lines];
}

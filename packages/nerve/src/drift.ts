import type { ContainerFacts } from "./containers.ts";
import type { ContainerSummary } from "./docker-api.ts";

/** What the engine's list says differently from what is known of a container; undefined when they agree. Pure. */
export function drift(facts: ContainerFacts, summary: ContainerSummary): string | undefined {
  const status = summary.State ?? "";
  if (status !== "" && status !== facts.status) return `is ${status}, was taken for ${facts.status}`;
  const name = summary.Names?.map((candidate) => candidate.replace(/^\//, "")) ?? [];
  // A linked container is listed under its aliases too.
  if (name.length > 0 && !name.includes(facts.name)) return `is named ${name[0]}, was known as ${facts.name}`;
  const health = /\((healthy|unhealthy|health: starting)\)/.exec(summary.Status ?? "")?.[1]?.replace("health: ", "");
  if (status === "running" && health !== undefined && health !== facts.health)
    return `is ${health}, was taken for ${facts.health ?? "unchecked"}`;
  const listed = networksText(
    Object.entries(summary.NetworkSettings?.Networks ?? {}).map(([network, endpoint]) => [
      network,
      endpoint?.IPAddress ?? "",
    ]),
  );
  const known = networksText(facts.networks.map((network) => [network.name, network.ip ?? ""]));
  return listed === known ? undefined : `is on ${listed || "no network"}, was taken to be on ${known || "none"}`;
}

function networksText(networks: readonly (readonly [string, string])[]): string {
  return networks
    .map(([network, ip]) => `${network} ${ip}`.trim())
    .sort()
    .join(", ");
}

/** What is known of a container that does not run: the list says enough. Pure. */
export function summaryFacts(summary: ContainerSummary): ContainerFacts {
  return {
    id: summary.Id,
    name: summary.Names?.[0]?.replace(/^\//, "") ?? "",
    image: summary.Image ?? "",
    labels: summary.Labels ?? {},
    env: {},
    running: false,
    status: summary.State ?? "unknown",
    startedAt: "",
    health: undefined,
    healthOutput: undefined,
    stopSignal: undefined,
    stopTimeoutMs: 10_000,
    networkMode: "",
    ports: [],
    published: [],
    networks: Object.entries(summary.NetworkSettings?.Networks ?? {}).map(([name, endpoint]) => ({
      name,
      id: endpoint?.NetworkID ?? "",
      ip: endpoint?.IPAddress || undefined,
      ip6: undefined,
    })),
  };
}

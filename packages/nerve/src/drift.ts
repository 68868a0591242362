import { attachments, type ContainerFacts, type NetworkAttachment, parsePortKey, portText } from "./containers.ts";
import type { ContainerSummary, ListedPort } from "./docker-api.ts";

/** An engine's clock may be set a little while the container runs. */
const UP_SLACK_MS = 1_000;

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
  const listed = networksText(attachments(summary.NetworkSettings?.Networks ?? {}));
  const known = networksText(facts.networks);
  if (listed !== known) return `is on ${listed || "no network"}, was taken to be on ${known || "none"}`;
  return facts.running && summary.Ports != null ? portDrift(facts, summary.Ports) : undefined;
}

/**
 * Whether the list shows a container up for less time than it must be that ran when it was inspected, `knownMs` ago.
 * Worth a look, no more: an engine's clock that was set back shows the same. Pure.
 */
export function seemsRestarted(facts: ContainerFacts, summary: ContainerSummary, knownMs: number): boolean {
  return facts.running && longestUpMs(summary.Status ?? "") + UP_SLACK_MS < knownMs;
}

/** Another run may be published elsewhere, though its state and its addresses are as before. */
function portDrift({ published }: ContainerFacts, ports: readonly ListedPort[]): string | undefined {
  const listed = listedText(ports);
  const known = bindingsText(
    published.map((binding) => `${hostText(binding.hostIp, binding.hostPort)}->${portText(binding)}`),
  );
  return listed === known ? undefined : `publishes ${listed || "nothing"}, was taken to publish ${known || "nothing"}`;
}

function listedText(ports: readonly ListedPort[]): string {
  return bindingsText(
    ports.flatMap(({ IP, PrivatePort, PublicPort, Type }) => {
      const key = parsePortKey(`${PrivatePort}/${Type}`);
      return key === undefined || !PublicPort ? [] : [`${hostText(IP ?? "", PublicPort)}->${portText(key)}`];
    }),
  );
}

/** Engines write "all addresses" in two ways. */
function hostText(ip: string, port: number): string {
  return `${ip || "0.0.0.0"}:${port}`;
}

function bindingsText(bindings: readonly string[]): string {
  return [...new Set(bindings)].sort().join(", ");
}

/** By the list's `Up 5 seconds`, in the words of Docker's go-units; what counts in hours is up long enough for anyone. */
function longestUpMs(status: string): number {
  if (status.startsWith("Up Less than a second")) return 1_000;
  if (status.startsWith("Up About a minute")) return 120_000;
  const [, count, unit] = /^Up (\d+) (second|minute)s?\b/.exec(status) ?? [];
  if (count === undefined) return Number.POSITIVE_INFINITY;
  return (Number(count) + 1) * (unit === "second" ? 1_000 : 60_000);
}

function networksText(networks: readonly NetworkAttachment[]): string {
  return networks.map(({ name, ip, ip6 }) => [name, ip, ip6].filter((word) => word !== undefined).join(" ")).join(", ");
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
    networks: attachments(summary.NetworkSettings?.Networks ?? {}),
  };
}

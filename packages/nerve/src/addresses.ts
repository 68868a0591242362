import { isIPv6 } from "node:net";
import { type ContainerFacts, type NetworkAttachment, type PortKey, portText, samePort } from "./containers.ts";
import type { AddressMode } from "./labels.ts";
import { matchNetwork, type Reach, reaches } from "./reach.ts";

/** What the choice of an address depends on besides the container. */
export interface AddressPolicy {
  /** The registry is read by other machines. */
  readonly shared: boolean;
  readonly mode: AddressMode;
  /** For container addresses. */
  readonly network: string | undefined;
  readonly advertise: string | undefined;
  /** This host's address on the route to the registry; undefined while unknown. */
  readonly sourceAddress: string | undefined;
  readonly reach: Reach;
}

export type AddressChoice =
  | {
      readonly host: string;
      readonly port: number;
      /** Why this address, for people. */
      readonly reason: string;
      /** Where nerve probes it; undefined when it cannot reach it. */
      readonly probe: { readonly host: string; readonly port: number; readonly published: boolean } | undefined;
      /** Of the container's own address, for the reason why it cannot be probed. */
      readonly network: string | undefined;
    }
  | { readonly refused: string };

/** `10.0.0.7:80`, `[::1]:80`. */
export function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Where clients reach a container's port. Pure and deterministic: no order of Docker's maps has a say. */
export function chooseAddress(facts: ContainerFacts, port: PortKey, policy: AddressPolicy): AddressChoice {
  const { networkMode } = facts;
  if (networkMode === "none") return { refused: "it has no network (network mode none)" };
  if (networkMode.startsWith("container:"))
    return { refused: `it shares the network of container ${networkMode.slice(10, 22)}: label that container instead` };
  if (networkMode === "host") return onHostNetwork(port, policy);
  const mode = policy.mode === "auto" ? (policy.shared ? "host" : "container") : policy.mode;
  return mode === "host" ? publishedAddress(facts, port, policy) : containerAddress(facts, port, policy);
}

function onHostNetwork(port: PortKey, policy: AddressPolicy): AddressChoice {
  const host = policy.shared ? advertised(policy) : localHost(policy);
  if ("refused" in host) return host;
  const probe = policy.reach.kind === "host" ? "127.0.0.1" : host.host;
  return {
    host: host.host,
    port: port.port,
    reason: `it uses the host's network; ${host.reason}`,
    probe: { host: probe, port: port.port, published: false },
    network: undefined,
  };
}

type HostChoice = { readonly host: string; readonly reason: string } | { readonly refused: string };

/** How other machines reach this host. */
function advertised(policy: AddressPolicy): HostChoice {
  if (policy.advertise !== undefined) return { host: policy.advertise, reason: "docker.advertise" };
  if (policy.reach.kind === "container") return { refused: "nerve runs in a container: set docker.advertise" };
  const source = policy.sourceAddress;
  if (source === undefined)
    return { refused: "this host's address is not known yet (no route to the registry): set docker.advertise" };
  if (isLoopback(source))
    return { refused: "the registry is on this machine, so its route tells no address: set docker.advertise" };
  return { host: source, reason: "this host's address on the route to the registry" };
}

/** How this machine reaches itself, for registries that only it reads. */
function localHost(policy: AddressPolicy): HostChoice {
  if (policy.advertise !== undefined) return { host: policy.advertise, reason: "docker.advertise" };
  if (policy.reach.kind === "container") return { refused: "nerve runs in a container: set docker.advertise" };
  return { host: "127.0.0.1", reason: "the registry is read on this machine only" };
}

function publishedAddress(facts: ContainerFacts, port: PortKey, policy: AddressPolicy): AddressChoice {
  const binding = lowestBinding(facts, port);
  if (binding === undefined)
    return {
      refused: `port ${portText(port)} is not published: publish it (-p ${port.port}), or set docker.address to container`,
    };
  const wildcard = binding.hostIp === "" || binding.hostIp === "0.0.0.0" || binding.hostIp === "::";
  const host = wildcard
    ? policy.shared
      ? advertised(policy)
      : localHost(policy)
    : { host: binding.hostIp, reason: `bound to ${binding.hostIp}` };
  if ("refused" in host) return host;
  if (policy.shared && isLoopback(host.host) && !isLoopback(policy.advertise ?? ""))
    return { refused: `port ${portText(port)} is published on ${host.host} only: other machines cannot reach it` };
  const own = bestAttachment(facts, policy);
  const probe =
    own !== undefined && reaches(policy.reach, own)
      ? { host: addressOf(own), port: port.port, published: false }
      : { host: host.host, port: binding.hostPort, published: true };
  return {
    host: host.host,
    port: binding.hostPort,
    reason: `published as ${binding.hostPort}; ${host.reason}`,
    probe,
    network: undefined,
  };
}

/** IPv4 before IPv6, all-interfaces before a single one, then the lowest port: the same answer whatever Docker lists first. */
function lowestBinding(
  facts: ContainerFacts,
  port: PortKey,
): { readonly hostIp: string; readonly hostPort: number } | undefined {
  const rank = (hostIp: string): string =>
    `${hostIp.includes(":") ? 1 : 0}${hostIp === "" || hostIp === "0.0.0.0" || hostIp === "::" ? 0 : 1}${isLoopback(hostIp) ? 1 : 0}${hostIp}`;
  return facts.published
    .filter((binding) => samePort(binding, port))
    .sort((a, b) =>
      rank(a.hostIp) < rank(b.hostIp) ? -1 : rank(a.hostIp) > rank(b.hostIp) ? 1 : a.hostPort - b.hostPort,
    )[0];
}

function containerAddress(facts: ContainerFacts, port: PortKey, policy: AddressPolicy): AddressChoice {
  if (policy.shared && policy.network === undefined)
    return { refused: "container addresses in a shared registry need docker.network or the label smartstack.network" };
  if (policy.network !== undefined && matchNetwork(facts, policy.network) === undefined)
    return {
      refused: `it is not on network ${policy.network}, but on ${facts.networks.map((network) => network.name).join(", ") || "none"}`,
    };
  const attachment = bestAttachment(facts, policy);
  if (attachment === undefined) return { refused: "it has no address on any network" };
  const reachable = reaches(policy.reach, attachment);
  // Docker Desktop and rootless engines keep their networks out of this machine's reach, but publish into it.
  const isOutOfReach = !reachable && !policy.shared && policy.reach.kind === "host";
  if (isOutOfReach && policy.mode === "auto" && lowestBinding(facts, port) !== undefined)
    return publishedAddress(facts, port, policy);
  return {
    host: addressOf(attachment),
    port: port.port,
    reason: `its own address on network ${attachment.name}`,
    probe: reachable ? { host: addressOf(attachment), port: port.port, published: false } : undefined,
    network: attachment.name,
  };
}

/** The network asked for; else the first by name that nerve reaches, else the first by name. */
function bestAttachment(facts: ContainerFacts, policy: AddressPolicy): NetworkAttachment | undefined {
  if (policy.network !== undefined) return usable(matchNetwork(facts, policy.network));
  const candidates = facts.networks.filter((network) => usable(network) !== undefined);
  return candidates.find((network) => reaches(policy.reach, network)) ?? candidates[0];
}

function usable(network: NetworkAttachment | undefined): NetworkAttachment | undefined {
  return network?.ip === undefined && network?.ip6 === undefined ? undefined : network;
}

function addressOf(network: NetworkAttachment): string {
  return network.ip ?? network.ip6 ?? "";
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.") || host.startsWith("::ffff:127.");
}

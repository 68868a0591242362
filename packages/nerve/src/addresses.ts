import { isIP, isIPv4, isIPv6 } from "node:net";
import { type NetworkAttachment, type PortKey, type PublishedPort, portText, samePort } from "./containers.ts";
import type { AddressMode } from "./labels.ts";
import type { NoPlace, Place } from "./place.ts";
import { matchNetwork, type Reach, reaches } from "./reach.ts";
import type { RouteAddress } from "./route-address.ts";

/** Swarm's network between its load balancer and the tasks of published services: it leads to no single container. */
const INGRESS = "ingress";

/** What the choice of an address depends on besides the container. */
export interface AddressPolicy {
  /** The registry is read by other machines. */
  readonly shared: boolean;
  readonly mode: AddressMode;
  /** For container addresses. */
  readonly network: string | undefined;
  readonly advertise: string | undefined;
  /** This host's address on the route to the registry. */
  readonly sourceAddress: RouteAddress;
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
  | NoPlace;

/** `10.0.0.7:80`, `[::1]:80`. */
export function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Where clients reach a container's port. Pure and deterministic: no order of Docker's maps has a say. */
export function chooseAddress(place: Place, port: PortKey, policy: AddressPolicy): AddressChoice {
  const { networkMode } = place;
  if (networkMode === "none") return { refused: "it has no network (network mode none)" };
  if (networkMode === "host") return onHostNetwork(port, policy);
  const elsewhere = policy.shared || policy.reach.kind === "remote";
  const mode = policy.mode === "auto" ? (elsewhere ? "host" : "container") : policy.mode;
  return mode === "host" ? publishedAddress(place, port, policy) : containerAddress(place, port, policy);
}

function onHostNetwork(port: PortKey, policy: AddressPolicy): AddressChoice {
  const host = policy.shared ? advertised(policy) : localHost(policy);
  if ("refused" in host) return host;
  return {
    host: host.host,
    port: port.port,
    reason: `it uses the host's network; ${host.reason}`,
    probe: { host: onThisMachine(host.host, policy.reach), port: port.port, published: false },
    network: undefined,
  };
}

/**
 * Where the host's own ports are probed: at the address that is announced, as who listens on the loopback only is not
 * reached there. One that this machine does not have, such as that of a router before it, need not lead back.
 */
function onThisMachine(announced: string, reach: Reach): string {
  const isOwn = reach.kind !== "host" || isLoopback(announced) || reach.addresses.has(announced.toLowerCase());
  return isOwn ? announced : "127.0.0.1";
}

type HostChoice = { readonly host: string; readonly reason: string } | NoPlace;

/** How other machines reach this host. */
function advertised(policy: AddressPolicy): HostChoice {
  if (policy.advertise !== undefined) return { host: policy.advertise, reason: "docker.advertise" };
  const { reach, sourceAddress: source } = policy;
  if (reach.kind === "remote") {
    // A name may be known here only, as that of a socket proxy's container is.
    if (isIP(reach.host) !== 0) return engineAddress(reach.host);
    return {
      refused: `the engine is known by its name ${reach.host}, which others may not know: set docker.advertise`,
    };
  }
  if (reach.kind === "container") return { refused: "nerve runs in a container: set docker.advertise" };
  if (source === undefined)
    return { refused: "this host's address is not known yet: its route to the registry is asked for", pending: true };
  if (source === false)
    return { refused: "no route to the registry tells this host's address: set docker.advertise", pending: true };
  if (isLoopback(source))
    return { refused: "the registry is on this machine, so its route tells no address: set docker.advertise" };
  return { host: source, reason: "this host's address on the route to the registry" };
}

/** How this machine reaches itself, for registries that only it reads. */
function localHost(policy: AddressPolicy, ipv6 = false): HostChoice {
  if (policy.advertise !== undefined) return { host: policy.advertise, reason: "docker.advertise" };
  if (policy.reach.kind === "remote") return engineAddress(policy.reach.host);
  if (policy.reach.kind === "container") return { refused: "nerve runs in a container: set docker.advertise" };
  return { host: ipv6 ? "::1" : "127.0.0.1", reason: "the registry is read on this machine only" };
}

function engineAddress(host: string): HostChoice {
  return { host, reason: "the address of its engine" };
}

function publishedAddress(place: Place, port: PortKey, policy: AddressPolicy): AddressChoice {
  const bindings = byPreference(place.published.filter((binding) => samePort(binding, port)));
  const hosts = bindings.map((binding) => ({ binding, host: bindingHost(binding, policy) }));
  const chosen = hosts.find(({ host }) => !("refused" in host)) ?? hosts[0];
  if (chosen === undefined)
    return {
      refused: `port ${portText(port)} is not published: publish it (-p ${port.port}), or set docker.address to container`,
    };
  const { binding, host } = chosen;
  if ("refused" in host) return host;
  const own = bestAttachment(place, policy);
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

/** Where a `-p` is reached. An engine binds IPv4 and IPv6 apart: what is published on [::] refuses IPv4 (measured on 20.10). */
export function bindingHost(binding: PublishedPort, policy: AddressPolicy): HostChoice {
  const { hostIp } = binding;
  const ipv6 = hostIp.includes(":");
  const where = `port ${portText(binding)} is published on ${hostIp}`;
  if (!isWildcard(hostIp)) {
    if ((policy.shared || policy.reach.kind === "remote") && isLoopback(hostIp) && !isLoopback(policy.advertise ?? ""))
      return { refused: `${where} only: other machines cannot reach it` };
    return { host: hostIp, reason: `bound to ${hostIp}` };
  }
  const host = policy.shared ? advertised(policy) : localHost(policy, ipv6);
  if ("refused" in host) return host;
  const familyFits = hostIp === "" || (ipv6 ? !isIPv4(host.host) : !isIPv6(host.host));
  if (familyFits) return host;
  return { refused: `${where} only, which ${host.host} (${host.reason}) does not reach` };
}

/** All interfaces before a single one, the loopback last; of those IPv4 before IPv6; then the lowest address and port: whatever Docker lists first. */
function byPreference(bindings: readonly PublishedPort[]): PublishedPort[] {
  const rank = ({ hostIp, hostPort }: PublishedPort): string => {
    const kind = isWildcard(hostIp) ? 0 : isLoopback(hostIp) ? 2 : 1;
    return `${kind}${hostIp.includes(":") ? 1 : 0}${hostIp} ${String(hostPort).padStart(5, "0")}`;
  };
  return [...bindings].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

export function isWildcard(hostIp: string): boolean {
  return hostIp === "" || hostIp === "0.0.0.0" || hostIp === "::";
}

function containerAddress(place: Place, port: PortKey, policy: AddressPolicy): AddressChoice {
  if (policy.shared && policy.network === undefined)
    return { refused: "container addresses in a shared registry need docker.network or the label smartstack.network" };
  const asked = policy.network === undefined ? undefined : matchNetwork(place, policy.network);
  if (policy.network !== undefined && asked === undefined)
    return {
      refused: `it is not on network ${policy.network}, but on ${place.networks.map((network) => network.name).join(", ") || "none"}`,
    };
  if (asked?.name === INGRESS)
    return { refused: "network ingress is swarm's own, nobody reaches a task there: name another network" };
  const attachment = bestAttachment(place, policy);
  if (attachment === undefined) return { refused: "it has no address on any network" };
  const reachable = reaches(policy.reach, attachment);
  // Docker Desktop and rootless engines keep their networks out of this machine's reach, but publish into it.
  const elsewhere = !reachable && !policy.shared && policy.mode === "auto" && policy.reach.kind === "host";
  if (elsewhere && place.published.some((binding) => samePort(binding, port)))
    return publishedAddress(place, port, policy);
  const whyOwn =
    policy.mode === "auto" ? "the registry is read on this machine only" : "container addresses are asked for";
  return {
    host: addressOf(attachment),
    port: port.port,
    reason: `its own address on network ${attachment.name}; ${whyOwn}`,
    probe: reachable ? { host: addressOf(attachment), port: port.port, published: false } : undefined,
    network: attachment.name,
  };
}

/** The network asked for; else the first by name that nerve reaches, else the first by name; never swarm's ingress. */
function bestAttachment(place: Place, policy: AddressPolicy): NetworkAttachment | undefined {
  if (policy.network !== undefined) return usable(matchNetwork(place, policy.network));
  const candidates = place.networks.filter((network) => usable(network) !== undefined && network.name !== INGRESS);
  return candidates.find((network) => reaches(policy.reach, network)) ?? candidates[0];
}

export function usable(network: NetworkAttachment | undefined): NetworkAttachment | undefined {
  return network?.ip === undefined && network?.ip6 === undefined ? undefined : network;
}

export function addressOf(network: NetworkAttachment): string {
  return network.ip ?? network.ip6 ?? "";
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.") || host.startsWith("::ffff:127.");
}

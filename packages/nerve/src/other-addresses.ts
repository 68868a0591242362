import {
  type AddressChoice,
  type AddressPolicy,
  addressOf,
  bindingHost,
  formatAddress,
  isWildcard,
  usable,
} from "./addresses.ts";
import { type NetworkAttachment, type PortKey, type PublishedPort, samePort } from "./containers.ts";
import type { Place } from "./place.ts";
import { reaches } from "./reach.ts";

type Chosen = Extract<AddressChoice, { readonly host: string }>;

/** The other addresses of a container's port, each with the reason why it is not the chosen one, for people. Pure. */
export function otherAddresses(place: Place, port: PortKey, policy: AddressPolicy, chosen: Chosen): readonly string[] {
  if (place.networkMode === "host") return [];
  const { network } = chosen;
  const own = place.networks
    .filter((other) => usable(other) !== undefined && other.name !== network)
    .map((other) => {
      const address = formatAddress(addressOf(other), port.port);
      return `${address} on network ${other.name}: ${whyNotNetwork(other, network, policy)}`;
    });
  const published = place.published
    .filter((binding) => samePort(binding, port))
    .flatMap((binding) => {
      const why = network === undefined ? whyNotBinding(binding, chosen, policy) : whyNotPublished(policy);
      const where = isWildcard(binding.hostIp) ? "" : ` on ${binding.hostIp}`;
      return why === undefined ? [] : [`published as ${binding.hostPort}${where}: ${why}`];
    });
  // An engine publishes on IPv4 and IPv6 alike.
  return [...new Set([...own, ...published])];
}

/** `chosen`: the network whose address was taken; undefined when it was a published port. */
function whyNotNetwork(other: NetworkAttachment, chosen: string | undefined, policy: AddressPolicy): string {
  if (chosen === undefined) {
    if (policy.mode === "host") return "published ports are asked for";
    if (policy.shared) return "the registry is read by other machines, which do not reach it";
    return policy.reach.kind === "remote" ? "its engine is on another machine" : "nerve does not reach it";
  }
  if (policy.network !== undefined) return `network ${policy.network} is asked for`;
  if (other.name === "ingress") return "swarm's ingress leads to no single container";
  return reaches(policy.reach, other) ? `${chosen} comes first by name` : "nerve does not reach it";
}

function whyNotPublished(policy: AddressPolicy): string {
  return policy.mode === "auto"
    ? "not needed, as the registry is read on this machine only"
    : "container addresses are asked for";
}

/** Undefined for the chosen one. */
function whyNotBinding(binding: PublishedPort, chosen: Chosen, policy: AddressPolicy): string | undefined {
  const host = bindingHost(binding, policy);
  if ("refused" in host) return host.refused;
  if (host.host === chosen.host && binding.hostPort === chosen.port) return undefined;
  return `${formatAddress(chosen.host, chosen.port)} comes first`;
}

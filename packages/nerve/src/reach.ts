import { BlockList, isIP } from "node:net";
import type { NetworkAttachment } from "./containers.ts";
import type { Place } from "./place.ts";

/**
 * Which container networks nerve can open connections to. In a container: those it is attached to. On a host's network:
 * those the host has a route to, which are all bridges, `internal` ones too, but neither overlays nor what a Docker
 * Desktop or rootless engine keeps in a place of its own. Of an engine on another machine: none, though its networks may
 * have the same addresses as this machine's.
 */
export type Reach =
  | {
      readonly kind: "host";
      readonly subnets: readonly Subnet[];
      /** Every address of this machine, and its name. */
      readonly addresses: ReadonlySet<string>;
    }
  | { readonly kind: "container"; readonly networks: ReadonlySet<string> }
  | { readonly kind: "remote"; readonly host: string };

export interface Subnet {
  readonly address: string;
  readonly prefix: number;
}

/** Whether nerve can reach that network. Pure. */
export function reaches(reach: Reach, network: NetworkAttachment): boolean {
  if (reach.kind === "container") return reach.networks.has(network.id);
  if (reach.kind === "remote") return false;
  const address = network.ip ?? network.ip6;
  if (address === undefined) return false;
  const type = isIP(address) === 6 ? "ipv6" : "ipv4";
  const local = new BlockList();
  for (const subnet of reach.subnets) {
    if ((isIP(subnet.address) === 6) === (type === "ipv6")) local.addSubnet(subnet.address, subnet.prefix, type);
  }
  return local.check(address, type);
}

/** What nerve reaches, read when it is needed. */
export interface ReachReader {
  /** Knows of these networks at the least. */
  at(networks: readonly NetworkAttachment[]): Reach;
  /** What was read may be old. */
  forget(): void;
}

/**
 * Every container adds an interface to its host, so reading them for each container takes longer the more there are: it
 * is done again for a network that nobody was seen on at the last time. Whoever is on a network came after it.
 */
export function reachReader(read: () => Reach): ReachReader {
  const seen = new Set<string>();
  let last: Reach | undefined;
  return {
    at(networks) {
      if (last === undefined || networks.some(({ id }) => !seen.has(id))) {
        last = read();
        for (const { id } of networks) seen.add(id);
      }
      return last;
    },
    forget() {
      last = undefined;
      seen.clear();
    },
  };
}

/** The container's network by its name, by its compose name without the project, or by its id (12 digits at least). */
export function matchNetwork(place: Place, wanted: string): NetworkAttachment | undefined {
  const project = place.labels["com.docker.compose.project"];
  return (
    place.networks.find((network) => network.name === wanted) ??
    place.networks.find((network) => project !== undefined && network.name === `${project}_${wanted}`) ??
    place.networks.find((network) => wanted.length >= 12 && network.id.startsWith(wanted))
  );
}

const ROUTE_REJECT = 0x0200;

/**
 * The networks that /proc/net/route knows a way to, also while their link is down (a bridge without containers). The
 * default route says nothing: an engine whose networks are elsewhere would seem reachable through it. Pure.
 */
export function routedSubnets(routeTable: string): Subnet[] {
  const subnets: Subnet[] = [];
  for (const line of routeTable.split("\n").slice(1)) {
    const [, destination, , flags, , , , mask] = line.trim().split(/\s+/);
    if (destination === undefined || flags === undefined || mask === undefined) continue;
    const prefix = Number.parseInt(mask, 16).toString(2).replaceAll("0", "").length;
    if (prefix > 0 && (Number.parseInt(flags, 16) & ROUTE_REJECT) === 0)
      subnets.push({ address: littleEndian(destination), prefix });
  }
  return subnets;
}

function littleEndian(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");
}

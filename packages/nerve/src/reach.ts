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

/**
 * Whether nerve can reach that network. A bridge is a network of the host's own, whole; an overlay that lies within one
 * of those, such as 10.0.1.0/24 in a LAN that is 10.0.0.0/16, is not reached through it. Pure.
 */
export function reaches(reach: Reach, network: NetworkAttachment): boolean {
  if (reach.kind === "container") return reach.networks.has(network.id);
  if (reach.kind === "remote") return false;
  const address = network.ip ?? network.ip6;
  if (address === undefined) return false;
  const type = isIP(address) === 6 ? "ipv6" : "ipv4";
  const local = new BlockList();
  for (const subnet of reach.subnets) {
    const isWhole = network.prefix === undefined || network.prefix === subnet.prefix;
    if (isWhole && (isIP(subnet.address) === 6) === (type === "ipv6"))
      local.addSubnet(subnet.address, subnet.prefix, type);
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

// Flags of linux/route.h.
const ROUTE_GATEWAY = 0x0002;
const ROUTE_REJECT = 0x0200;

interface Route {
  readonly iface: string;
  readonly subnet: Subnet;
  readonly isOnLink: boolean;
}

/**
 * The networks that /proc/net/route knows a way to, also while their link is down (a bridge without containers). The
 * default route says nothing: an engine whose networks are elsewhere would seem reachable through it. Nor does the
 * network it leads through: what containers have on that (macvlan, ipvlan) their own host cannot reach. Pure.
 */
export function routedSubnets(routeTable: string): Subnet[] {
  const away = uplinks(routeTable);
  return routes(routeTable)
    .filter(({ iface, subnet, isOnLink }) => subnet.prefix > 0 && !(isOnLink && away.has(iface)))
    .map(({ subnet }) => subnet);
}

/** The interfaces that default routes lead through. Pure. */
export function uplinks(routeTable: string): ReadonlySet<string> {
  return new Set(
    routes(routeTable)
      .filter(({ subnet, isOnLink }) => subnet.prefix === 0 && !isOnLink)
      .map(({ iface }) => iface),
  );
}

function routes(routeTable: string): Route[] {
  const found: Route[] = [];
  for (const line of routeTable.split("\n").slice(1)) {
    const [iface, destination, , flagsText, , , , mask] = line.trim().split(/\s+/);
    if (iface === undefined || destination === undefined || flagsText === undefined || mask === undefined) continue;
    const flags = Number.parseInt(flagsText, 16);
    if ((flags & ROUTE_REJECT) !== 0) continue;
    const prefix = Number.parseInt(mask, 16).toString(2).replaceAll("0", "").length;
    const isOnLink = (flags & ROUTE_GATEWAY) === 0;
    found.push({ iface, subnet: { address: littleEndian(destination), prefix }, isOnLink });
  }
  return found;
}

function littleEndian(hex: string): string {
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join(".");
}

import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { isLoopback } from "./addresses.ts";
import { routedSubnets, type Subnet } from "./reach.ts";

/** What this machine, or the container nerve runs in, knows of its own place in the network. */
export function localSubnets(): Subnet[] {
  const subnets: Subnet[] = [];
  try {
    subnets.push(...routedSubnets(readFileSync("/proc/net/route", "utf8")));
  } catch {
    // Not Linux: the interfaces below are all there is to know.
  }
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      const [network, prefix] = address.cidr?.split("/") ?? [];
      if (network !== undefined && prefix !== undefined && !address.internal)
        subnets.push({ address: network, prefix: Number(prefix) });
    }
  }
  return subnets;
}

/** Every address of this machine, and its name. */
export function localAddresses(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return new Set([...addresses, hostname().toLowerCase(), "localhost"]);
}

/** Where an engine is that is on another machine; undefined for one on this. Pure. */
export function remoteHost(engine: string, local: ReadonlySet<string>): string | undefined {
  if (!engine.startsWith("tcp://")) return undefined;
  const host = new URL(engine).hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  return local.has(host) || isLoopback(host) ? undefined : host;
}

/** What may be this process' own container id: its host name, and ids that its mounts speak of. */
export function ownContainerHints(): readonly string[] {
  let mounts = "";
  try {
    mounts = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    // Not Linux, so not in a container of Linux either.
  }
  return containerHints(hostname(), mounts);
}

/** Pure: a host name that is a short container id, and the 64 digit ids in mountinfo (/etc/hosts is mounted from the container's folder). */
export function containerHints(host: string, mountinfo: string): readonly string[] {
  const ids = [...mountinfo.matchAll(/\/containers\/([0-9a-f]{64})\//g)].map((match) => match[1] ?? "");
  return [...new Set([...ids, ...(/^[0-9a-f]{12}$/.test(host) ? [host] : [])])];
}

/**
 * This machine's address on the route to `host`: connecting a UDP socket sends nothing, but chooses the source address.
 * `host` may carry a port. Undefined when there is no route, or the name does not resolve.
 */
export function sourceAddressTo(host: string): Promise<string | undefined> {
  const name = host.replace(/^\[(.*)\](?::\d+)?$/, "$1").replace(/^([^:]+):\d+$/, "$1");
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(name) ? "udp6" : "udp4");
    let settled = false;
    const finish = (address: string | undefined): void => {
      if (settled) return;
      settled = true;
      socket.close();
      resolve(address);
    };
    socket.on("error", () => finish(undefined));
    socket.connect(9, name, (error?: Error) => finish(error === undefined ? socket.address().address : undefined));
  });
}

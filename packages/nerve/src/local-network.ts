import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { StackError } from "@smartstack/core";
import { isLoopback } from "./addresses.ts";
import { routedSubnets, type Subnet, uplinks } from "./reach.ts";

/** What this machine, or the container nerve runs in, knows of its own place in the network; each is read anew when asked for. */
export interface LocalNetwork {
  subnets(): readonly Subnet[];
  /** Every address of this machine, and its name. */
  addresses(): ReadonlySet<string>;
  /** What may be this process' own container id: its host name, and ids that its mounts speak of. */
  containerHints(): readonly string[];
}

/** How it is read. */
export interface LocalReads {
  /** @throws like readFileSync. */
  readonly file: (path: string) => string;
  /** @throws like os.networkInterfaces. */
  readonly interfaces: typeof networkInterfaces;
}

const SYSTEM: LocalReads = { file: (path) => readFileSync(path, "utf8"), interfaces: networkInterfaces };

/** Its functions throw StackError HOST_UNREADABLE, to be tried again, as long as something was not read even once for want of resources. */
export function localNetwork(reads: LocalReads = SYSTEM): LocalNetwork {
  const routes = remembered("/proc/net/route", () => reads.file("/proc/net/route"), "");
  const mounts = remembered("/proc/self/mountinfo", () => reads.file("/proc/self/mountinfo"), "");
  const interfaces = remembered(
    "the network interfaces",
    () => Object.entries(reads.interfaces()).flatMap(([name, found]) => (found ?? []).map((one) => ({ ...one, name }))),
    [],
  );
  return {
    subnets() {
      const table = routes();
      const away = uplinks(table);
      const near = interfaces().filter(({ internal, name }) => !internal && !away.has(name));
      return [...routedSubnets(table), ...near.flatMap(({ cidr }) => subnetsOf(cidr))];
    },
    addresses: () => new Set([...interfaces().map(({ address }) => address), hostname().toLowerCase(), "localhost"]),
    containerHints: () => containerHints(hostname(), mounts()),
  };
}

/** The machine has no more of something, for a while; any other failure would come again the next time. */
const SHORTAGES: readonly string[] = ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN", "EINTR"];

/**
 * A read that fails says nothing new, so what was known before holds on: a machine does not change its place because
 * it cannot be looked at. `nothing` is for what this system does not have or does not show.
 */
function remembered<T>(what: string, read: () => T, nothing: T): () => T {
  let known: { readonly value: T } | undefined;
  return () => {
    try {
      known = { value: read() };
    } catch (cause) {
      if (known === undefined && SHORTAGES.includes(systemCode(cause)))
        throw new StackError("HOST_UNREADABLE", `cannot read ${what} to learn where in the network this process is`, {
          side: "self",
          retry: "after-backoff",
          cause,
        });
    }
    return known === undefined ? nothing : known.value;
  };
}

/** os.networkInterfaces wraps the system's code. */
function systemCode(error: unknown): string {
  const { code, info } = error as { readonly code?: string; readonly info?: { readonly code?: string } };
  return info?.code ?? code ?? "";
}

function subnetsOf(cidr: string | null): Subnet[] {
  const [address, prefix] = cidr?.split("/") ?? [];
  // Every container's interface has a link-local one, and none of them leads to a container.
  if (address === undefined || prefix === undefined || address.startsWith("fe80:")) return [];
  return [{ address, prefix: Number(prefix) }];
}

/** Where an engine is that is on another machine; undefined for one on this. Pure. */
export function remoteHost(engine: string, local: ReadonlySet<string>): string | undefined {
  if (!engine.startsWith("tcp://")) return undefined;
  const host = new URL(engine).hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  return local.has(host) || isLoopback(host) ? undefined : host;
}

/** What Docker mounts into every container from the container's own folder. Other mounts may show any container's. */
const OWN_MOUNTS: readonly string[] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/**
 * A host name that is a short container id, and the 64 digit ids that mountinfo (proc(5)) shows this container's own
 * files to come from. Whoever uses another container's network has that one's files and name (measured on 20.10): it is
 * the one whose networks count. Pure.
 */
export function containerHints(host: string, mountinfo: string): readonly string[] {
  const ids = mountinfo.split("\n").flatMap((line) => {
    const [, , , root = "", mountPoint = ""] = line.split(" ");
    return OWN_MOUNTS.includes(mountPoint) ? (/\/containers\/([0-9a-f]{64})\//.exec(root)?.[1] ?? []) : [];
  });
  return [...new Set([...ids, ...(/^[0-9a-f]{12}$/.test(host) ? [host] : [])])];
}

/** As `lookup` of node:dns with `all`. */
export type Lookup = (name: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/**
 * This machine's address on the route to `host`, which may carry a port; by IPv4 if there is such a route, as most ports
 * are published there. Undefined when there is no route, or the name does not resolve.
 */
export async function sourceAddressTo(
  host: string,
  resolveName: Lookup = (name) => lookup(name, { all: true }),
): Promise<string | undefined> {
  const name = host.replace(/^\[(.*)\](?::\d+)?$/, "$1").replace(/^([^:]+):\d+$/, "$1");
  // Why a name does not resolve is the registry driver's to tell, who is asked for the same one.
  const found = await resolveName(name).catch(() => []);
  for (const { address } of [...found].sort((a, b) => a.family - b.family)) {
    const source = await sourceOf(address);
    if (source !== undefined) return source;
  }
  return undefined;
}

/** Connecting a UDP socket sends nothing, but chooses the source address. */
function sourceOf(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    let settled = false;
    const finish = (address: string | undefined): void => {
      if (settled) return;
      settled = true;
      socket.close();
      resolve(address);
    };
    socket.on("error", () => finish(undefined));
    socket.connect(9, address, (error?: Error) => finish(error === undefined ? ownAddress(socket) : undefined));
  });
}

function ownAddress(socket: Socket): string | undefined {
  try {
    return socket.address().address;
  } catch {
    // The interface went away between the two calls: there is no route any more.
    return undefined;
  }
}

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/**
 * The network a test engine lives in: a network namespace, joined to this machine by one cable. A second engine in the
 * same namespace is no option: dockerd flushes the packet filter's DOCKER chains when it starts, and with them the
 * published ports of every engine that is already there.
 */
export interface EngineNetwork {
  /** Of the namespace, and of this machine's end of the cable. */
  readonly name: string;
  /** This machine, as the engine's containers see it. */
  readonly outside: string;
  /** The engine's host, as this machine sees it: where published ports are. */
  readonly inside: string;
  /** Everything behind the cable. */
  readonly subnet: string;
  /** The default bridge's own address, and where `docker network create` takes subnets from. */
  readonly bridge: string;
  readonly pool: { readonly base: string; readonly size: number };
}

const OCTETS_PER_SLOT = 8;
const CABLE = "cable";
export const SLOTS = 256 / OCTETS_PER_SLOT;

export function networkOfSlot(slot: number): EngineNetwork {
  const address = (third: number, fourth: number): string => `10.213.${slot * OCTETS_PER_SLOT + third}.${fourth}`;
  return {
    name: `smartstack${slot}`,
    outside: address(0, 1),
    inside: address(0, 2),
    subnet: `${address(0, 0)}/21`,
    bridge: `${address(1, 1)}/24`,
    pool: { base: `${address(4, 0)}/22`, size: 27 },
  };
}

/** What to put before a command so that it runs inside: on the engine's host, as far as the network goes. */
export function insideNetwork(network: EngineNetwork): [string, ...string[]] {
  // Not `ip netns exec`: that also gives the command another /sys, without the control groups dockerd needs.
  return ["nsenter", `--net=/run/netns/${network.name}`];
}

/** @throws Error when the addresses are already routed somewhere on this machine. */
export function createNetwork(network: EngineNetwork): void {
  const prefixes = network.outside.split(".").slice(0, 3).join(".");
  const taken = run("ip", "-4", "route")
    .split("\n")
    .find((route) => route.startsWith(`${prefixes}.`));
  if (taken !== undefined) throw new Error(`the test engine's subnet is in use: ${taken}`);
  const { name } = network;
  const inside = (...args: string[]): string => run(...insideNetwork(network), ...args);
  run("ip", "netns", "add", name);
  run("ip", "link", "add", name, "type", "veth", "peer", "name", CABLE, "netns", name);
  run("ip", "address", "add", `${network.outside}/30`, "dev", name);
  run("ip", "link", "set", name, "up");
  inside("ip", "link", "set", "lo", "up");
  inside("ip", "address", "add", `${network.inside}/30`, "dev", CABLE);
  inside("ip", "link", "set", CABLE, "up");
  // One route a network, besides the one for all: nerve takes for reachable what this machine routes as a whole.
  for (const subnet of [network.subnet, ...dockerSubnets(network)])
    run("ip", "route", "add", subnet, "via", network.inside);
  // Docker forwards nothing into its bridges by default; this chain is the one it leaves to its users.
  inside("iptables", "--wait", "-N", "DOCKER-USER");
  inside("iptables", "--wait", "-A", "DOCKER-USER", "-i", CABLE, "-j", "ACCEPT");
}

/** All that the engine may give to its networks. */
function dockerSubnets({ bridge, pool }: EngineNetwork): string[] {
  const [address = "", prefix] = pool.base.split("/");
  const [first = 0, second = 0, third = 0] = address.split(".").map(Number);
  const size = 2 ** (32 - pool.size);
  const starts = Array.from({ length: 2 ** (pool.size - Number(prefix)) }, (_, at) => at * size);
  const pools = starts.map(
    (start) => `${first}.${second}.${third + Math.floor(start / 256)}.${start % 256}/${pool.size}`,
  );
  return [bridge.replace(".1/", ".0/"), ...pools];
}

/** Removes the namespace with all its bridges, rules and its cable. What is already gone is fine. */
export function removeNetwork(network: EngineNetwork): void {
  if (existsSync(`/sys/class/net/${network.name}`)) run("ip", "link", "delete", network.name);
  if (existsSync(`/run/netns/${network.name}`)) run("ip", "netns", "delete", network.name);
}

function run(...args: string[]): string {
  const [file = "", ...rest] = args;
  return execFileSync(file, rest, { encoding: "utf8", timeout: 10_000, stdio: ["ignore", "pipe", "pipe"] });
}

import type { Registry } from "@smartstack/core";
import { z } from "zod";
import { splitChroot } from "./config.ts";
import type { Driver, RegistryDeps } from "./driver.ts";
import { etcd } from "./etcd.ts";
import { file } from "./file.ts";
import { memory } from "./memory.ts";
import { zookeeper } from "./zookeeper.ts";
import { zookeeperNerve } from "./zookeeper-nerve.ts";

export type { Driver, RegistryDeps } from "./driver.ts";

/** Every kind of registry: sorted, one line a driver. The configuration's schema follows from it. */
const DRIVERS = {
  etcd,
  file,
  memory,
  zookeeper,
  "zookeeper-nerve": zookeeperNerve,
};

type DriverName = keyof typeof DRIVERS;
type ConfigOf<N extends DriverName> = z.output<(typeof DRIVERS)[N]["config"]>;

/** What the `registry:` key of a configuration file becomes. Times are milliseconds. */
export type RegistryConfig = { [N in DriverName]: ConfigOf<N> }[DriverName];

/** The kinds of registry, for help texts. */
export const REGISTRY_TYPES = Object.keys(DRIVERS) as readonly DriverName[];

/** The schema of the `registry:` key, a discriminated union over `type`. */
export const registryConfig = z.discriminatedUnion(
  "type",
  Object.values(DRIVERS).map(({ config }) => config) as never,
) as unknown as z.ZodType<RegistryConfig>;

/** The servers that a registry is reached at, as `host:port`; undefined for one of this machine. */
export function serversOf(config: RegistryConfig): readonly string[] | undefined {
  return "hosts" in config ? splitChroot(config.hosts).servers : undefined;
}

/** Opens a registry. Neither connects nor throws because a server is away: each use of it throws, and keepAlive comes again. */
export function openRegistry(config: RegistryConfig, deps: RegistryDeps): Promise<Registry> {
  // The table pairs each type with its own configuration; TypeScript cannot follow the pairing through the lookup.
  const driver = DRIVERS[config.type] as unknown as Driver<RegistryConfig>;
  return driver.open(config, deps);
}

import type { RegistryConfig } from "@smartstack/registry";
import { startZooKeeper, TICK_MS, zookeeperRead, zookeeperWipe, zookeeperWrite } from "../support/zookeeper.ts";
import type { RegistryHarness } from "./registry-harness.ts";
import { controlOf, openers } from "./registry-real-harness.ts";

const TTL_MS = 3_000;

/** How a driver lays out its entries below a prefix. */
export interface ZooKeeperLayout {
  config(ensemble: { readonly hosts: string[]; readonly ttl: number }, prefix: string): RegistryConfig;
  /** The node of an entry, from the path that the suite calls it by; and back. */
  readonly pathOf: (entry: string) => string;
  readonly entryOf: (path: string) => string;
}

/** A harness over one ZooKeeper server. */
export async function zooKeeperHarness({ config, pathOf, entryOf }: ZooKeeperLayout): Promise<RegistryHarness> {
  const server = await startZooKeeper();
  const { endpoint } = server;
  let cases = 0;
  return {
    ttlMs: TTL_MS,
    goneMs: TTL_MS + TICK_MS + 1_000,
    fresh() {
      const prefix = `/test/case${cases++}`;
      const wipe = (): Promise<void> => zookeeperWipe(endpoint, prefix);
      return {
        ...openers(config({ hosts: [endpoint], ttl: TTL_MS }, prefix)),
        server: controlOf(server),
        async read() {
          const nodes = await zookeeperRead(endpoint, prefix);
          return new Map([...nodes].map(([path, text]) => [entryOf(path), text]));
        },
        foreign: (path, text) => zookeeperWrite(endpoint, `${prefix}/${pathOf(path)}`, text),
        wipe,
        done: wipe,
      };
    },
    stop: () => server.stop(),
  };
}

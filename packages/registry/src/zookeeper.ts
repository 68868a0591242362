import { z } from "zod";
import { hosts, prefix, ttl } from "./config.ts";
import type { Driver } from "./driver.ts";

const config = z.strictObject({ type: z.literal("zookeeper"), hosts, prefix, ttl });

export type ZooKeeperConfig = z.output<typeof config>;

/** ZooKeeper: one session with ephemeral nodes for each nerve. */
export const zookeeper: Driver<ZooKeeperConfig> = {
  config,
  async open(settings, deps) {
    const { zooKeeperRegistry } = await import("./zookeeper/registry.ts");
    return zooKeeperRegistry(settings, deps);
  },
};

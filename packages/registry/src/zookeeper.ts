import { z } from "zod";
import { auth, hostsWithChroot, prefix, ttl } from "./config.ts";
import type { Driver } from "./driver.ts";

/** What any use of a ZooKeeper ensemble needs. */
export const ensembleKeys = {
  hosts: hostsWithChroot,
  ttl,
  /** Digest authentication. */
  auth: auth.optional(),
  /** Who may do what with the nodes we make. Default: with `auth` everybody reads and our user writes, else everybody all. */
  access: z.enum(["open", "read", "private"]).optional(),
};

const config = z.strictObject({ type: z.literal("zookeeper"), prefix, ...ensembleKeys });

export type ZooKeeperConfig = z.output<typeof config>;
export type EnsembleConfig = z.output<z.ZodObject<typeof ensembleKeys>>;

/** ZooKeeper: one session with ephemeral nodes for each nerve. */
export const zookeeper: Driver<ZooKeeperConfig> = {
  config,
  async open(settings, deps) {
    const { zooKeeperRegistry } = await import("./zookeeper/registry.ts");
    return zooKeeperRegistry(settings, deps);
  },
};

import { z } from "zod";
import { hosts, prefix, ttl } from "./config.ts";
import type { Driver } from "./driver.ts";

const config = z.strictObject({ type: z.literal("etcd"), hosts, prefix, ttl });

export type EtcdConfig = z.output<typeof config>;

/** etcd, version 3 API: one lease for each nerve. */
export const etcd: Driver<EtcdConfig> = {
  config,
  async open(settings, deps) {
    const { etcdRegistry } = await import("./etcd/registry.ts");
    return etcdRegistry(settings, deps);
  },
};

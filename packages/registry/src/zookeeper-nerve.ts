import { duration } from "@smartstack/core";
import { z } from "zod";
import type { Driver } from "./driver.ts";
import { ensembleKeys } from "./zookeeper.ts";

/** Stands for the service's name in `path`. */
export const SERVICE = "{service}";

const path = z
  .string()
  .transform((value) => value.replace(/\/+$/, ""))
  .pipe(z.string().regex(/^(\/[^/\s]+)+$/, { error: `expected a path such as "/nerve/services/${SERVICE}/services"` }))
  .refine(
    (value) =>
      value
        .split("/")
        .filter((part) => part.includes(SERVICE))
        .join() === SERVICE || !value.includes(SERVICE),
    {
      error: `expected ${SERVICE} to be one part of the path`,
    },
  );

/** What Airbnb's nerve calls them. */
export const NODE_TYPES = ["ephemeral_sequential", "ephemeral", "persistent", "persistent_sequential"] as const;

const config = z.strictObject({
  type: z.literal("zookeeper-nerve"),
  ...ensembleKeys,
  /** Where the nodes of a service lie: nerve's zk_path. With {service} in it, one registry serves all of them. */
  path,
  node_type: z.enum(NODE_TYPES).default("ephemeral_sequential"),
  /** The payload in the node's name too, so that one list of names tells everything. */
  use_path_encoding: z.boolean().default(false),
  /** How often persistent nodes are written again, to move their time of change. */
  ttl_seconds: duration({ minMs: 1_000 }).optional(),
  /** What others wrote: nerve's documents, or Finagle's server sets and the endpoint to take of them. */
  decode: z
    .strictObject({
      method: z.enum(["nerve", "serverset"]).default("nerve"),
      endpoint_name: z.string().min(1).optional(),
    })
    .prefault({}),
});

export type ZooKeeperNerveConfig = z.output<typeof config>;

/** ZooKeeper as Airbnb's nerve leaves it, to the byte: for nerves and synapses beside ours, and to migrate from. */
export const zookeeperNerve: Driver<ZooKeeperNerveConfig> = {
  config,
  async open(settings, deps) {
    const { zooKeeperNerveRegistry } = await import("./zookeeper-nerve/registry.ts");
    return zooKeeperNerveRegistry(settings, deps);
  },
};

import { type RegistryConfig, registryConfig } from "@smartstack/registry";
import { z } from "zod";

/** Where a service's instances come from. */
export type Discovery =
  /** The default registry, under the service's own name. */
  | { readonly method: "registry" }
  /** Only its default_servers. */
  | { readonly method: "base" }
  /** A registry of its own. */
  | { readonly method: "own"; readonly registry: RegistryConfig };

/** A `discovery:` section is a `registry:` section whose `type` is called `method`, as in the originals. */
const ownRegistries = (registryConfig as unknown as { readonly options: readonly z.ZodObject[] }).options.map(
  (option) => option.omit({ type: true }).extend({ method: option.shape.type as z.ZodType }),
);

const methods = z.discriminatedUnion("method", [
  z.strictObject({ method: z.literal("registry") }),
  z.strictObject({ method: z.literal("base") }),
  ...ownRegistries,
] as never) as unknown as z.ZodType<{ readonly method: string }>;

/** The original synapse's zookeeper method names the path of nerve's own nodes, where ours has a prefix. */
function inOurWords(value: unknown): unknown {
  const isTheirs =
    typeof value === "object" && value !== null && "path" in value && "method" in value && !("prefix" in value);
  return isTheirs && value.method === "zookeeper" ? { ...value, method: "zookeeper-nerve" } : value;
}

/** The `discovery:` key of a service. */
export const discovery = z.preprocess(inOurWords, methods).transform(({ method, ...registry }): Discovery => {
  if (method === "registry" || method === "base") return { method };
  return { method: "own", registry: { type: method, ...registry } as RegistryConfig };
});

/** Equal for discoveries that read the same place. */
export function discoveryKey(where: Discovery): string {
  return where.method === "own" ? JSON.stringify(where.registry) : where.method;
}

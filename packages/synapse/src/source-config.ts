import { duration } from "@smartstack/core";
import type { RateSpec, ServiceSpec } from "@smartstack/proxy";
import { z } from "zod";

const count = z.int().min(1).max(1_000_000);

const rate = z
  .strictObject({
    requests: count,
    per: duration({ minMs: 100 }).default(1_000),
    /** At once after a quiet time; default `requests`. */
    burst: count.optional(),
  })
  .transform(({ requests, per, burst = requests }): RateSpec => ({ requests, perMs: per, burst }));

/** Keys of a service's proxy that hold one client address in check. */
export const sourceKeys = {
  /** At once, of one client address, in each process. */
  max_connections_per_source: count.optional(),
  /** Of one client address, in each process: its requests (http) or connections (tcp). */
  rate_limit: rate.optional(),
};

interface SourceSettings {
  readonly max_connections_per_source?: number | undefined;
  readonly rate_limit?: RateSpec | undefined;
}

/** As the proxy is told; nothing where nothing is asked for. */
export function sourcesOf(settings: SourceSettings): Pick<ServiceSpec, "sources"> {
  const { max_connections_per_source: connectionsMax, rate_limit: asked } = settings;
  if (connectionsMax === undefined && asked === undefined) return {};
  return {
    sources: {
      ...(connectionsMax === undefined ? {} : { connectionsMax }),
      ...(asked === undefined ? {} : { rate: asked }),
    },
  };
}

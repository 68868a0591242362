import { DEFAULT_LIMITS, type LimitsSpec } from "@smartstack/proxy";
import { z } from "zod";

const count = z.int().min(1).max(1_000_000);

/** The `limits:` key of a service's proxy: what each of its backends may have at once, and how many may wait. */
export const limits = z
  .strictObject({
    /** In flight, for http. */
    max_requests: count.optional(),
    /** In http with those that are kept for further requests. */
    max_connections: count.optional(),
    /** Requests or clients that wait for room; 0: none does. */
    queue: z.int().min(0).max(1_000_000).default(DEFAULT_LIMITS.queueMax),
  })
  .transform(
    (value): LimitsSpec => ({
      ...(value.max_requests === undefined ? {} : { requestsMax: value.max_requests }),
      ...(value.max_connections === undefined ? {} : { connectionsMax: value.max_connections }),
      queueMax: value.queue,
    }),
  );

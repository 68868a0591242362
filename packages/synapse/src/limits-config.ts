import { DEFAULT_GRADIENT, DEFAULT_LIMITS, type GradientSpec, type LimitsSpec } from "@smartstack/proxy";
import { z } from "zod";
import { OFF } from "./off.ts";
import { ON } from "./on.ts";

const count = z.int().min(1).max(1_000_000);

/** On, off, or between which bounds. */
const adaptive = z.union([
  z.union([z.literal(true), z.string().regex(ON)]).transform((): GradientSpec => DEFAULT_GRADIENT),
  z
    .union([z.literal(false), z.string().regex(OFF, "expected on, off, or a mapping of min and max")])
    .transform((): GradientSpec | undefined => undefined),
  z
    .strictObject({ min: count.default(DEFAULT_GRADIENT.min), max: count.default(DEFAULT_GRADIENT.max) })
    .refine(({ min, max }) => min <= max, { path: ["max"], message: "expected at least as much as min" }),
]);

/** The `limits:` key of a service's proxy: what each of its backends may have at once, and how many may wait. */
export const limits = z
  .strictObject({
    /** In flight, for http. */
    max_requests: count.optional(),
    /** In http with those that are kept for further requests. */
    max_connections: count.optional(),
    /** In flight, for http: as many as are found to be answered quickly. */
    adaptive: adaptive.optional(),
    /** Requests or clients that wait for room; 0: none does. */
    queue: z.int().min(0).max(1_000_000).default(DEFAULT_LIMITS.queueMax),
  })
  .transform(
    (value): LimitsSpec => ({
      ...(value.max_requests === undefined ? {} : { requestsMax: value.max_requests }),
      ...(value.max_connections === undefined ? {} : { connectionsMax: value.max_connections }),
      ...(value.adaptive === undefined ? {} : { adaptive: value.adaptive }),
      queueMax: value.queue,
    }),
  );

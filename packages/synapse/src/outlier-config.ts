import { duration } from "@smartstack/core";
import { DEFAULT_OUTLIER, type OutlierSpec } from "@smartstack/proxy";
import { z } from "zod";
import { percent } from "./balance-config.ts";
import { OFF } from "./off.ts";
import { ON } from "./on.ts";

const rules = z
  .strictObject({
    /** Failed answers in a row: 5xx, garbage, none. */
    consecutive: z.int().min(1).max(1_000).default(DEFAULT_OUTLIER.consecutive),
    /** Of the requests of ten seconds, as soon as there are `min_requests`. */
    failures: percent.pipe(z.number().min(1)).prefault(DEFAULT_OUTLIER.failureRatio * 100),
    min_requests: z.int().min(1).max(1_000_000).default(DEFAULT_OUTLIER.requestsMin),
    /** So many times as slow as the others. */
    slower: z.number().min(1.5).max(1_000).default(DEFAULT_OUTLIER.latencyFactor),
    /** Several wait, and nothing has been answered for so long. */
    silent: duration({ minMs: 100 }).default(DEFAULT_OUTLIER.silentMs),
    /** How long it is out the first time, doubled when it does not do better, up to `eject_max`. */
    eject: duration({ minMs: 100 }).default(DEFAULT_OUTLIER.ejectMs),
    eject_max: duration({ minMs: 100 }).default(DEFAULT_OUTLIER.ejectMsMax),
    /** Of the backends, how many may be out. */
    max_out: percent.prefault(DEFAULT_OUTLIER.outPercentMax),
  })
  .transform(
    (value): OutlierSpec => ({
      consecutive: value.consecutive,
      failureRatio: value.failures / 100,
      requestsMin: value.min_requests,
      latencyFactor: value.slower,
      silentMs: value.silent,
      ejectMs: value.eject,
      ejectMsMax: value.eject_max,
      outPercentMax: value.max_out,
    }),
  );

/** The `outlier:` key of a service's proxy: on, off, or when a backend is worse than its peers. */
export const outlier = z.union([
  z.union([z.literal(true), z.string().regex(ON)]).transform((): OutlierSpec => DEFAULT_OUTLIER),
  z
    .union([z.literal(false), z.string().regex(OFF, "expected on, off, or a mapping of rules")])
    .transform((): OutlierSpec | undefined => undefined),
  rules,
]);

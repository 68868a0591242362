import { duration } from "@smartstack/core";
import { z } from "zod";
import { OFF } from "./off.ts";
import { ON } from "./on.ts";

/** An idle or busy process is some milliseconds late; one that is late by this several times in a row drowns. */
const DEFAULT_LAG_MS = 1_000;

const rules = z
  .strictObject({ lag: duration({ minMs: 10 }).default(DEFAULT_LAG_MS) })
  .transform(({ lag }): number | undefined => lag);

/** The `shed:` key: on, off, or how late the process may be; in milliseconds, undefined for off. */
export const shed = z.union([
  z.union([z.literal(true), z.string().regex(ON)]).transform((): number | undefined => DEFAULT_LAG_MS),
  z
    .union([z.literal(false), z.string().regex(OFF, "expected on, off, or a mapping with lag")])
    .transform((): number | undefined => undefined),
  rules,
]);

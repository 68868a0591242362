import { duration } from "@smartstack/core";
import { z } from "zod";

/** Under this, one slow election or collection pause would cost every lease. */
const TTL_MS_MIN = 3_000;

/** How long entries outlive their owner, in milliseconds. */
export const ttl = duration({ minMs: TTL_MS_MIN, maxMs: 3_600_000 }).default(10_000);

const HOST = /^(\[[0-9a-fA-F:.]+\]|[^\s/:,[\]]+):\d{1,5}$/;

const host = z
  .string()
  .trim()
  .regex(HOST, { error: 'expected "host:port"' })
  .refine((value) => Number(value.slice(value.lastIndexOf(":") + 1)) <= 65_535, { error: "port above 65535" });

/** One or more servers of one cluster, as `host:port`; a single string is taken for a list of one, and may hold commas. */
export const hosts = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === "string" ? value.split(",") : value))
  .pipe(z.array(host).min(1, { error: "expected at least one host:port" }));

/** A path like /smartstack/services; a slash at its end is dropped. */
export const prefix = z
  .string()
  .transform((value) => value.replace(/\/+$/, ""))
  .pipe(
    z
      .string()
      .regex(/^(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/, { error: 'expected a path such as "/smartstack/services"' }),
  )
  .default("/smartstack/services");

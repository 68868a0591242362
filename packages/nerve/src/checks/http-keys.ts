import { duration, httpCheckMethod, httpHeaders, httpPath, httpStatuses } from "@smartstack/core";
import { z } from "zod";
import type { OptionsOf } from "./check.ts";
import { tlsKeys } from "./tls.ts";

const phase = duration({ minMs: 10, maxMs: 60_000 }).optional();

/** The keys of `http` and `https`; `uri`, `ssl` and the three times are the originals' words. */
export const httpKeys = {
  ...tlsKeys,
  method: httpCheckMethod.default("GET"),
  path: httpPath.optional(),
  uri: httpPath.optional(),
  headers: httpHeaders.default({}),
  /** One or several; default 200-399. */
  status: httpStatuses.optional(),
  /** The body must contain it. */
  expect: z.string().optional(),
  ssl: z.boolean().optional(),
  read_timeout: phase,
  open_timeout: phase,
  ssl_timeout: phase,
};

export type HttpOptions = OptionsOf<typeof httpKeys>;

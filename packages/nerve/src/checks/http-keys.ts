import { validateHeaderName, validateHeaderValue } from "node:http";
import { duration } from "@smartstack/core";
import { z } from "zod";
import type { OptionsOf } from "./check.ts";
import { tlsKeys } from "./tls.ts";

const httpPath = z.string().regex(/^\/[\x21-\x7e]*$/, "expected a path that begins with /, without spaces");

/** First and last status, both included. */
export type StatusRange = readonly [number, number];

const STATUS = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/;

const statusRange = z.union([z.int(), z.string()]).transform((value, context): StatusRange => {
  const match = STATUS.exec(String(value));
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? from);
  if (match !== null && from <= to) return [from, to];
  context.addIssue({ code: "custom", message: "expected a status such as 200, or a range such as 200-299" });
  return z.NEVER;
});

const headers = z.record(z.string(), z.string()).superRefine((value, context) => {
  for (const [name, text] of Object.entries(value)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, text);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message, path: [name] });
    }
  }
});

const phase = duration({ minMs: 10, maxMs: 60_000 }).optional();

/** The keys of `http` and `https`; `uri`, `ssl` and the three times are the originals' words. */
export const httpKeys = {
  ...tlsKeys,
  method: z.enum(["GET", "HEAD", "OPTIONS", "POST"]).default("GET"),
  path: httpPath.optional(),
  uri: httpPath.optional(),
  headers: headers.default({}),
  /** One or several; default 200-399. */
  status: z.union([statusRange.transform((range) => [range]), z.array(statusRange).min(1)]).optional(),
  /** The body must contain it. */
  expect: z.string().optional(),
  ssl: z.boolean().optional(),
  read_timeout: phase,
  open_timeout: phase,
  ssl_timeout: phase,
};

export type HttpOptions = OptionsOf<typeof httpKeys>;

import { validateHeaderName, validateHeaderValue } from "node:http";
import { z } from "zod";

/** Keys that say what is asked of an HTTP server, and what answer is wanted, wherever a check is configured. */
export const httpPath = z.string().regex(/^\/[\x21-\x7e]*$/, "expected a path that begins with /, without spaces");

export const httpCheckMethod = z.enum(["GET", "HEAD", "OPTIONS", "POST"]);

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

/** One or several. */
export const httpStatuses = z.union([statusRange.transform((range) => [range]), z.array(statusRange).min(1)]);

export const httpHeaders = z.record(z.string(), z.string()).superRefine((value, context) => {
  for (const [name, text] of Object.entries(value)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, text);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message, path: [name] });
    }
  }
});

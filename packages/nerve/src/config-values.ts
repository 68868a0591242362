import { isIPv6 } from "node:net";
import { port } from "@smartstack/core";
import { z } from "zod";

export const nonEmpty = z.string().min(1);

// host:port pairs would be taken for host names by every reader of the registry.
export const hostOnly = nonEmpty.refine(
  (value) => value.length <= 255 && (isIPv6(value) || /^[A-Za-z0-9_.-]+$/.test(value)),
  { message: "expected a host name or an IP address, without a port" },
);

// The originals' configs quote ports as often as not.
export const configPort = z.union([
  port,
  z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .pipe(port),
]);

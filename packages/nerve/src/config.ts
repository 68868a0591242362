import { isIPv6 } from "node:net";
import { duration, port, serviceNameProblem } from "@smartstack/core";
import { z } from "zod";
import { CONFIG_CHECKS } from "./checks/index.ts";

const nonEmpty = z.string().min(1);
const checkInterval = duration({ minMs: 50 });
const checkTimeout = duration({ minMs: 10, maxMs: 60_000 });
const threshold = z.int().min(1).max(100);

// host:port pairs would be taken for host names by every reader of the registry.
export const hostOnly = nonEmpty.refine(
  (value) => value.length <= 255 && (isIPv6(value) || /^[A-Za-z0-9_.-]+$/.test(value)),
  {
    message: "expected a host name or an IP address, without a port",
  },
);

// The originals' configs quote ports as often as not.
const configPort = z.union([
  port,
  z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .pipe(port),
]);

const httpPath = z.string().regex(/^\/[\x21-\x7e]*$/, "expected a path that begins with /, without spaces");

const configCheck = z.strictObject({
  type: z.enum(CONFIG_CHECKS),
  name: nonEmpty.optional(),
  host: hostOnly.optional(),
  port: configPort.optional(),
  /** For http; `path` is the same. */
  uri: httpPath.optional(),
  path: httpPath.optional(),
  /** For http: the body must contain it. */
  expect: z.string().optional(),
  timeout: checkTimeout.optional(),
  rise: threshold.optional(),
  fall: threshold.optional(),
});

const configService = z.strictObject({
  host: hostOnly,
  port: configPort,
  /** All must pass; none = always up, as in the original. */
  checks: z.array(configCheck).default([]),
  check_interval: checkInterval.optional(),
  weight: z.int().min(0).max(256).optional(),
  haproxy_server_options: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  listen: port.optional(),
  mode: z.enum(["tcp", "http"]).optional(),
  zone: nonEmpty.optional(),
});

const serviceName = z.string().superRefine((value, context) => {
  const problem = serviceNameProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

/** nerve's own keys: under `nerve:` for `up`, at the top level for `nerve -c`. Times come out in milliseconds. */
export const nerveConfig = z.strictObject({
  /** `name` in the documents; default: the node. */
  instance_id: nonEmpty.max(255).optional(),
  /** What stopping does to our entries; default: keep Docker's for one ttl, withdraw those of `services`. */
  on_stop: z.enum(["keep", "withdraw"]).optional(),
  /** What happens when all instances of a service on this node fail their checks: keep announces the last ones on. */
  on_all_down: z.enum(["keep", "withdraw"]).default("withdraw"),
  services: z.record(serviceName, configService).default({}),
  check: z
    .strictObject({
      interval: checkInterval.default(2_000),
      timeout: checkTimeout.default(1_000),
      rise: threshold.default(1),
      fall: threshold.default(2),
    })
    .prefault({}),
  /** How often everything is compared with the engine's list, whatever the events said. */
  reconcile: duration({ minMs: 1_000 }).default(30_000),
});

export type NerveConfig = z.output<typeof nerveConfig>;
export type ConfigService = NerveConfig["services"][string];
export type CheckDefaults = NerveConfig["check"];

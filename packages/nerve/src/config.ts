import { duration, port, serviceNameProblem } from "@smartstack/core";
import { z } from "zod";
import { checkInterval, checkTimeout, configCheck, damping, threshold } from "./config-check.ts";
import { configInstance } from "./config-instance.ts";
import { configPort, hostOnly, nonEmpty } from "./config-values.ts";
import { sizeProblem } from "./document-size.ts";

const serviceKeys = z.strictObject({
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

export type ConfigService = z.output<typeof serviceKeys>;

/** As long as a node's name and a port can make it. */
const LONGEST_ID = "i".repeat(70);

const configService = serviceKeys.superRefine((spec, context) => {
  // Asked also when a check of it is wrong, which must not be looked at for a mode then.
  const problem = sizeProblem(configInstance({ ...spec, mode: "http" }, LONGEST_ID));
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
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
      damping: damping.optional(),
    })
    .prefault({}),
  /** How often everything is compared with the engine's list, whatever the events said. */
  reconcile: duration({ minMs: 1_000 }).default(30_000),
});

export type NerveConfig = z.output<typeof nerveConfig>;
export type CheckDefaults = NerveConfig["check"];

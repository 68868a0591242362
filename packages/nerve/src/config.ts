import { duration, nodeNameProblem, port, serviceNameProblem } from "@smartstack/core";
import { z } from "zod";
import { checkInterval, checkTimeout, configCheck, damping, threshold } from "./config-check.ts";
import { configPort, hostOnly, nonEmpty } from "./config-values.ts";

const CONVENTIONS = ["registrator", "nginx-proxy", "compose", "docker-register"] as const;
const CONVENTIONS_READY: readonly string[] = ["compose"];

const nodeName = nonEmpty.superRefine((value, context) => {
  const problem = nodeNameProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

const engineHost = nonEmpty.refine((value) => /^(unix:\/\/\/.+|tcp:\/\/[^/]+)$/.test(value), {
  message: "expected unix:///path/to/docker.sock or tcp://host:port",
});

const convention = z.enum(CONVENTIONS).refine((value) => CONVENTIONS_READY.includes(value), {
  error: (issue) =>
    `convention ${String(issue.input)} is not supported yet; supported: ${CONVENTIONS_READY.join(", ")}`,
});

/** The `docker:` part of a configuration. */
export const dockerConfig = z.strictObject({
  host: engineHost.default("unix:///var/run/docker.sock"),
  /** The node's name in the registry; default: derived from the engine's id. */
  node: nodeName.optional(),
  /** What other hosts reach this one by. */
  advertise: hostOnly.optional(),
  address: z.enum(["auto", "host", "container"]).default("auto"),
  /** For container addresses: a network's name, its compose name without the project, or its id. */
  network: nonEmpty.optional(),
  filter: z
    .strictObject({
      label: z.union([nonEmpty, z.array(nonEmpty)]).optional(),
      project: z.literal("own").optional(),
    })
    .prefault({}),
  conventions: z.array(convention).default([]),
  expose_by_default: z.boolean().default(false),
});

export type DockerConfig = z.output<typeof dockerConfig>;

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
export type ConfigService = NerveConfig["services"][string];
export type CheckDefaults = NerveConfig["check"];

import { isIPv6 } from "node:net";
import { nodeNameProblem, StackError } from "@smartstack/core";
import { z } from "zod";
import { hostOnly, nonEmpty } from "./config-values.ts";
import { CONVENTION_NAMES } from "./conventions/index.ts";

const DEFAULT_HOST = "unix:///var/run/docker.sock";
const HOST_EXPECTED = "expected unix:///path/to/docker.sock or tcp://host:port";

const nodeName = nonEmpty.superRefine((value, context) => {
  const problem = nodeNameProblem(value);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
});

const tls = z
  .strictObject({
    /** Whom to trust; default: the authorities that Node knows. */
    ca_file: nonEmpty.optional(),
    cert_file: nonEmpty.optional(),
    key_file: nonEmpty.optional(),
    /** False takes any certificate. */
    verify: z.boolean().default(true),
  })
  .refine(({ cert_file, key_file }) => (cert_file === undefined) === (key_file === undefined), {
    message: "expected cert_file and key_file together",
  });

/** One engine of the `docker:` part of a configuration. */
export const dockerConfig = z
  .strictObject({
    /** Default: $DOCKER_HOST, else Docker's socket. */
    host: nonEmpty.refine(isEngineHost, { message: HOST_EXPECTED }).optional(),
    /** For tcp://; its presence switches TLS on. */
    tls: tls.optional(),
    /** The node's name in the registry; default: derived from the engine's id. */
    node: nodeName.optional(),
    /** What other hosts reach this one by. */
    advertise: hostOnly
      .refine((value) => value !== "0.0.0.0" && value !== "::", {
        message: "expected an address that others reach this host by, not the one for all interfaces",
      })
      .optional(),
    address: z.enum(["auto", "host", "container"]).default("auto"),
    /** For container addresses: a network's name, its compose name without the project, or its id. */
    network: nonEmpty.optional(),
    filter: z
      .strictObject({
        label: z.union([nonEmpty, z.array(nonEmpty)]).optional(),
        project: z.literal("own").optional(),
      })
      .prefault({}),
    /** Foreign ways to describe a service; the first of them that names a container wins. */
    conventions: z.array(z.enum(CONVENTION_NAMES)).default([]),
    /** Takes every container that exposes exactly one TCP port. */
    expose_by_default: z.boolean().default(false),
  })
  .refine(({ host, tls }) => tls === undefined || host === undefined || host.startsWith("tcp://"), {
    path: ["tls"],
    message: "expected docker.host: tcp://host:port beside it",
  });

/** The `docker:` part: false, one engine, or several. */
export const dockerSetting = z.union([z.literal(false), dockerConfig, z.array(dockerConfig).min(1)]);

type DockerSection = z.output<typeof dockerConfig>;

/** One engine, with everything that the environment adds. */
export type DockerConfig = DockerSection & { readonly host: string };

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The engines of a configuration; none when Docker is switched off. An engine without `host` is the one that the docker
 * command would take: DOCKER_HOST, and with it DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. Pure.
 * @throws StackError CONFIG_INVALID
 */
export function dockerEngines(setting: z.output<typeof dockerSetting>, env: Environment): readonly DockerConfig[] {
  if (setting === false) return [];
  const engines = (Array.isArray(setting) ? setting : [setting]).map((section) => engineOf(section, env));
  for (const key of ["host", "node"] as const) {
    const values = engines.map((engine) => engine[key]).filter((value) => value !== undefined);
    const twice = values.find((value, at) => values.indexOf(value) !== at);
    if (twice !== undefined) throw invalid(`docker: two engines with ${key} ${twice}, expected each its own`);
  }
  return engines;
}

function engineOf(section: DockerSection, env: Environment): DockerConfig {
  if (section.host !== undefined) return { ...section, host: section.host };
  const given = env.DOCKER_HOST ?? "";
  if (given === "") return { ...section, host: unixOnly(section, DEFAULT_HOST) };
  const host = given.includes("://") ? given : `tcp://${given}`;
  if (!isEngineHost(host))
    throw invalid(`DOCKER_HOST is ${given}, ${HOST_EXPECTED}; set docker.host to take another engine`);
  if (host.startsWith("unix://")) return { ...section, host: unixOnly(section, host) };
  const fromEnv = section.tls ?? tlsOf(env);
  return { ...section, host, ...(fromEnv === undefined ? {} : { tls: fromEnv }) };
}

function unixOnly(section: DockerSection, host: string): string {
  if (section.tls === undefined) return host;
  throw invalid(`docker.tls: expected docker.host: tcp://host:port beside it; the engine would be at ${host}`);
}

function isEngineHost(text: string): boolean {
  if (/^unix:\/\/\/./.test(text)) return true;
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null || (match[1] !== undefined && !isIPv6(match[1]))) return false;
  return match[2] === undefined || (Number(match[2]) >= 1 && Number(match[2]) <= 65_535);
}

/** As the docker command: a folder of ca.pem, cert.pem and key.pem. */
function tlsOf(env: Environment): DockerSection["tls"] {
  const verify = (env.DOCKER_TLS_VERIFY ?? "") !== "";
  const given = env.DOCKER_CERT_PATH ?? "";
  if (!verify && given === "") return undefined;
  const folder = given === "" ? `${env.HOME ?? ""}/.docker` : given.replace(/\/+$/, "");
  return { ca_file: `${folder}/ca.pem`, cert_file: `${folder}/cert.pem`, key_file: `${folder}/key.pem`, verify };
}

function invalid(message: string): StackError {
  return new StackError("CONFIG_INVALID", message, { side: "config", retry: "never" });
}

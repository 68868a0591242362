import { parseAddress } from "@smartstack/admin";
import { type ConfigSource, describeError, isStackError, type Loaded, loadConfig, StackError } from "@smartstack/core";
import { type DockerConfig, dockerEngines, dockerSetting, type NerveConfig, nerveConfig } from "@smartstack/nerve";
import { type RegistryConfig, registryConfig } from "@smartstack/registry";
import { type SynapseConfig, synapseConfig } from "@smartstack/synapse";
import { z } from "zod";

export const ROLES = ["up", "nerve", "synapse"] as const;

/** Which of the three long-running commands, and thereby which dialect of the configuration. */
export type Role = (typeof ROLES)[number];

export type AdminConfig = z.output<typeof adminKeys>;
export type LogConfig = z.output<typeof log>;

/** One configuration as the process runs it, whatever dialect it was written in. Times are milliseconds. */
export interface StackConfig {
  readonly role: Role;
  readonly registry: RegistryConfig;
  readonly nerve?: { readonly engines: readonly DockerConfig[]; readonly nerve: NerveConfig };
  readonly synapse?: SynapseConfig;
  readonly admin: (AdminConfig & { readonly listen: string }) | undefined;
  readonly log: LogConfig;
}

const adminKeys = z.strictObject({
  /** `host:port` or `unix:/path`. Absent: 127.0.0.1 and the role's port. */
  listen: z
    .string()
    .superRefine((value, context) => {
      try {
        parseAddress(value);
      } catch (error) {
        context.addIssue({ code: "custom", message: describeError(error) });
      }
    })
    .optional(),
  token: z.string().min(1).optional(),
  /** A file whose first line is the token. */
  token_file: z.string().min(1).optional(),
});

const log = z.strictObject({
  format: z.enum(["pretty", "json"]).optional(),
  level: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

const common = {
  registry: registryConfig.prefault({ type: "memory" }),
  docker: dockerSetting.optional(),
  admin: z.union([z.literal(false), adminKeys]).prefault({}),
  log: log.prefault({}),
};

const ONLY_IN_UP =
  "memory is one process's own, expected file, etcd or zookeeper (memory works inside `smartstack up` only)";

const upFile = z.strictObject({ ...common, nerve: nerveConfig.prefault({}), synapse: synapseConfig.prefault({}) });

const nerveFile = z.strictObject({ ...common, ...nerveConfig.shape }).superRefine((value, context) => {
  if (value.registry.type === "memory")
    context.addIssue({ code: "custom", path: ["registry", "type"], message: ONLY_IN_UP });
});

const synapseFile = z.strictObject({ ...common, ...synapseConfig.shape }).superRefine((value, context) => {
  const services = Object.entries(value.services);
  for (const [name, service] of services) {
    const { discovery } = service;
    if (discovery.method === "own" && discovery.registry.type === "memory")
      context.addIssue({ code: "custom", path: ["services", name, "discovery", "method"], message: ONLY_IN_UP });
  }
  const usesDefault = services.some(([, service]) => service.discovery.method === "registry") || discovers(value);
  if (value.registry.type === "memory" && usesDefault)
    context.addIssue({ code: "custom", path: ["registry", "type"], message: ONLY_IN_UP });
});

const FILES = { up: upFile, nerve: nerveFile, synapse: synapseFile } as const;

const ADMIN_LISTEN: Readonly<Record<Role, string>> = {
  up: "127.0.0.1:3210",
  synapse: "127.0.0.1:3210",
  nerve: "127.0.0.1:3211",
};

/**
 * Reads one of the three dialects.
 * @throws StackError CONFIG_INVALID, one line per fault.
 */
export function loadStackConfig(role: Role, source: ConfigSource): Loaded<StackConfig> {
  if (role === "up") {
    const { value, warnings } = loadConfig(source, FILES.up);
    const engines = enginesOf(value.docker, source);
    return {
      value: { ...shared(role, value), nerve: { engines, nerve: value.nerve }, synapse: value.synapse },
      warnings,
    };
  }
  if (role === "nerve") {
    const { value, warnings } = loadConfig(source, FILES.nerve);
    const { registry: _registry, docker: given, admin: _admin, log: _log, ...nerve } = value;
    // The originals' files have services and know no Docker.
    const docker = given ?? (Object.keys(nerve.services).length > 0 ? false : undefined);
    return { value: { ...shared(role, value), nerve: { engines: enginesOf(docker, source), nerve } }, warnings };
  }
  const { value, warnings } = loadConfig(source, FILES.synapse);
  const { registry: _registry, docker: _docker, admin: _admin, log: _log, ...synapse } = value;
  return { value: { ...shared(role, value), synapse }, warnings };
}

/** @throws StackError CONFIG_INVALID */
function enginesOf(docker: z.output<typeof dockerSetting> | undefined, source: ConfigSource): readonly DockerConfig[] {
  try {
    return dockerEngines(docker ?? dockerSetting.parse({}), source.env);
  } catch (cause) {
    if (!isStackError(cause)) throw cause;
    const { code, side, retry, message } = cause;
    throw new StackError(code, `${source.file}: ${message}`, { side, retry });
  }
}

/** Which dialect a file is written in, by its keys. */
export function guessRole(source: ConfigSource): Role {
  const { value } = loadConfig(source, z.looseObject({ services: z.unknown() }).partial());
  const keys = new Set(Object.keys(value));
  if (keys.has("nerve") || keys.has("synapse")) return "up";
  const serviceKeys = new Set(Object.values(value.services ?? {}).flatMap((service) => Object.keys(service ?? {})));
  const uses = (words: readonly string[], within: ReadonlySet<string>): number =>
    words.filter((word) => within.has(word)).length;
  const nerve = uses(Object.keys(nerveConfig.shape), keys) + uses(["host", "port", "checks"], serviceKeys);
  const synapse =
    uses([...Object.keys(synapseConfig.shape), "haproxy", "file_output"], keys) +
    uses(["discovery", "proxy", "default_servers", "haproxy"], serviceKeys);
  // A registry for several machines and Docker: the registrar of a host.
  if (nerve === 0 && synapse === 0) return keys.has("docker") && keys.has("registry") ? "nerve" : "up";
  return nerve > synapse ? "nerve" : "synapse";
}

/** The configuration as it may be shown. */
export function maskedConfig(config: StackConfig): unknown {
  return JSON.parse(
    JSON.stringify(config, (key, value: unknown) =>
      typeof value === "string" && /token|password|secret|authorization|cookie/i.test(key) && !key.endsWith("_file")
        ? "•••"
        : value,
    ),
  );
}

interface SharedKeys {
  readonly registry: RegistryConfig;
  readonly admin: false | AdminConfig;
  readonly log: LogConfig;
}

function shared(role: Role, value: SharedKeys): Pick<StackConfig, "role" | "registry" | "admin" | "log"> {
  const { registry, admin } = value;
  return {
    role,
    registry,
    admin: admin === false ? undefined : { ...admin, listen: admin.listen ?? ADMIN_LISTEN[role] },
    log: value.log,
  };
}

function discovers(value: { readonly discover?: readonly string[] | undefined }): boolean {
  return (value.discover ?? []).length > 0;
}

import { OUTPUT_CHARS, printable } from "./checks/printable.ts";
import { signalNumber } from "./stop-signal.ts";

export type Protocol = "tcp" | "udp";

export interface PortKey {
  readonly port: number;
  readonly protocol: Protocol;
}

/** One `-p`: a container port reachable at a port of the host. */
export interface PublishedPort extends PortKey {
  /** As Docker says it: an address, or 0.0.0.0, :: or empty for all. */
  readonly hostIp: string;
  readonly hostPort: number;
}

export interface NetworkAttachment {
  readonly name: string;
  readonly id: string;
  /** Undefined while the container is not running, and on networks without IPv4. */
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  /** How many bits its subnet has, by `ip` or else `ip6`; undefined where the engine does not tell. */
  readonly prefix: number | undefined;
}

export type EngineHealth = "starting" | "healthy" | "unhealthy";

/** What the engine says of a container's HEALTHCHECK. */
export type EngineVerdict = Pick<ContainerFacts, "health" | "healthOutput">;

/** What matters of one container, in our words. */
export interface ContainerFacts {
  /** 64 hex digits. */
  readonly id: string;
  /** Without Docker's leading slash. */
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of its environment only what the switched-on conventions read. Never written, logged or shown as it is. */
  readonly env: Readonly<Record<string, string>>;
  /** Its processes run: not paused, not between two restarts. */
  readonly running: boolean;
  /** The engine's own word for its state: running, paused, restarting, exited … */
  readonly status: string;
  /** A new run of the same container has another one. */
  readonly startedAt: string;
  /** Undefined without HEALTHCHECK. */
  readonly health: EngineHealth | undefined;
  /** What its last run gave by the time of the inspect, printable: exit code and output. Runs that change no verdict are not told by Docker. */
  readonly healthOutput: string | undefined;
  /** Undefined: known from a list only, which does not tell. */
  readonly stopSignal: number | undefined;
  readonly stopTimeoutMs: number;
  /** host, none, bridge, a network's name, or container:<id>. */
  readonly networkMode: string;
  /** Exposed or published, sorted by number; what the image or `--expose` declares. */
  readonly ports: readonly PortKey[];
  readonly published: readonly PublishedPort[];
  /** Sorted by name: Docker's map has no order, and an answer must not depend on one. */
  readonly networks: readonly NetworkAttachment[];
}

const STOP_TIMEOUT_DEFAULT_MS = 10_000;

/** The parts of `GET /containers/{id}/json` that are read here; everything else is ignored. Any of it may be missing or null. */
export interface InspectJson {
  readonly Id?: string;
  readonly Name?: string;
  readonly State?: {
    readonly Status?: string;
    readonly Running?: boolean;
    readonly Paused?: boolean;
    readonly Restarting?: boolean;
    readonly Dead?: boolean;
    readonly StartedAt?: string;
    readonly Health?: { readonly Status?: string; readonly Log?: readonly HealthRun[] | null } | null;
  };
  readonly Config?: {
    readonly Image?: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly Env?: readonly string[] | null;
    readonly StopSignal?: string | null;
    readonly StopTimeout?: number | null;
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
  };
  readonly HostConfig?: { readonly NetworkMode?: string };
  readonly NetworkSettings?: {
    readonly Ports?: Readonly<Record<string, readonly HostBinding[] | null>> | null;
    readonly Networks?: Readonly<Record<string, EndpointJson | null>> | null;
  };
}

interface HealthRun {
  /** -1 for one that took too long. */
  readonly ExitCode?: number;
  readonly Output?: string;
}

interface HostBinding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** A container on one network, in inspects and lists alike. */
export interface EndpointJson {
  readonly NetworkID?: string;
  readonly IPAddress?: string;
  readonly IPPrefixLen?: number;
  readonly GlobalIPv6Address?: string;
  readonly GlobalIPv6PrefixLen?: number;
}

/** Translates an inspect answer. Pure; what is missing reads as empty. Variables that `keepsEnv` does not want are dropped here. */
export function containerFacts(
  json: InspectJson,
  keepsEnv: (variable: string) => boolean = () => false,
): ContainerFacts {
  const state = json.State ?? {};
  const config = json.Config ?? {};
  const settings = json.NetworkSettings ?? {};
  const stopTimeout = config.StopTimeout;
  return {
    id: json.Id ?? "",
    name: (json.Name ?? "").replace(/^\//, ""),
    image: config.Image ?? "",
    labels: config.Labels ?? {},
    env: variables(config.Env ?? [], keepsEnv),
    running: state.Running === true && state.Paused !== true && state.Restarting !== true && state.Dead !== true,
    status: state.Status ?? "unknown",
    startedAt: state.StartedAt ?? "",
    health: engineHealth(state.Health?.Status),
    healthOutput: healthOutput(state.Health?.Log?.at(-1)),
    stopSignal: signalNumber(config.StopSignal ?? undefined),
    // A negative timeout means "wait for ever": there is no time after which it counts as still alive, so take a day.
    stopTimeoutMs:
      typeof stopTimeout === "number" ? (stopTimeout < 0 ? 86_400_000 : stopTimeout * 1_000) : STOP_TIMEOUT_DEFAULT_MS,
    networkMode: json.HostConfig?.NetworkMode ?? "",
    ports: portKeys([...Object.keys(config.ExposedPorts ?? {}), ...Object.keys(settings.Ports ?? {})]),
    published: publishedPorts(settings.Ports ?? {}),
    networks: attachments(settings.Networks ?? {}),
  };
}

/** `80`, `80/tcp` or `53/udp`; undefined for anything else (sctp is not offered by anyone here). */
export function parsePortKey(text: string): PortKey | undefined {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text.trim().toLowerCase());
  const port = Number(match?.[1]);
  if (match === null || port < 1 || port > 65_535) return undefined;
  return { port, protocol: (match[2] as Protocol | undefined) ?? "tcp" };
}

/** `80/tcp`, the way Docker writes a port. */
export function portText(key: PortKey): string {
  return `${key.port}/${key.protocol}`;
}

export function samePort(a: PortKey, b: PortKey): boolean {
  return a.port === b.port && a.protocol === b.protocol;
}

/** `registry:5000/team/web:1.2@sha256:…` → `web`; undefined for an image that is known by its id only. */
export function imageName(image: string): string | undefined {
  const path = image.replace(/@.*$/, "");
  const last = path.split("/").at(-1) ?? "";
  const name = last.split(":")[0] ?? "";
  return name === "" || last.startsWith("sha256:") || /^[0-9a-f]{12,64}$/.test(name) ? undefined : name;
}

function variables(env: readonly string[], keeps: (variable: string) => boolean): Record<string, string> {
  const pairs = env.map((text): [string, string] => {
    const at = text.indexOf("=");
    return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  });
  return Object.fromEntries(pairs.filter(([name]) => keeps(name)));
}

function engineHealth(status: string | undefined): EngineHealth | undefined {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : undefined;
}

function healthOutput(run: HealthRun | undefined): string | undefined {
  return (
    run && printable(`exit code ${run.ExitCode ?? "unknown"}: ${run.Output ?? ""}`, OUTPUT_CHARS).replace(/:$/, "")
  );
}

function portKeys(texts: readonly string[]): PortKey[] {
  const keys = [...new Set(texts)].map(parsePortKey).filter((key) => key !== undefined);
  return keys.sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

function publishedPorts(ports: Readonly<Record<string, readonly HostBinding[] | null>>): PublishedPort[] {
  const found: PublishedPort[] = [];
  for (const [text, bindings] of Object.entries(ports)) {
    const key = parsePortKey(text);
    for (const binding of key === undefined ? [] : (bindings ?? [])) {
      const hostPort = Number(binding.HostPort);
      if (key !== undefined && hostPort > 0) found.push({ ...key, hostIp: binding.HostIp ?? "", hostPort });
    }
  }
  return found;
}

/** What a container's networks say of it. Pure. */
export function attachments(networks: Readonly<Record<string, EndpointJson | null>>): NetworkAttachment[] {
  return Object.entries(networks)
    .map(([name, endpoint]) => ({
      name,
      id: endpoint?.NetworkID ?? "",
      ip: endpoint?.IPAddress || undefined,
      ip6: endpoint?.GlobalIPv6Address || undefined,
      prefix: (endpoint?.IPAddress ? endpoint.IPPrefixLen : endpoint?.GlobalIPv6PrefixLen) || undefined,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What tests say about a container, in the docker command's words. */
export interface ContainerOptions {
  /** Default: the test web server, see backend.mjs. */
  readonly image?: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly expose?: readonly (number | string)[];
  /** As after `docker run --publish`: "80", "127.0.0.1:8080:80". */
  readonly publish?: readonly string[];
  readonly network?: string;
  readonly health?: HealthOptions;
  readonly stopSignal?: string;
  /** Seconds between the stop signal and KILL. */
  readonly stopTimeout?: number;
  /** Anything else, before the image. */
  readonly extra?: readonly string[];
  readonly command?: readonly string[];
}

export interface HealthOptions {
  /** Run by the container's shell. */
  readonly command: string;
  /** As Docker spells durations: "1s". */
  readonly interval?: string;
  readonly timeout?: string;
  readonly retries?: number;
  readonly startPeriod?: string;
}

export const NODE_IMAGE = "smartstack-test/node";
export const WEB_IMAGE = "smartstack-test/web";
export const ETCD_IMAGE = "smartstack-test/etcd";
export const SMARTSTACK_IMAGE = "smartstack-test/smartstack";

/** The arguments of the docker command that starts such a container in the background. */
export function runArguments(options: ContainerOptions): string[] {
  const { health } = options;
  return [
    "run",
    "--detach",
    ...flag("--name", options.name),
    ...Object.entries(options.labels ?? {}).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
    ...Object.entries(options.env ?? {}).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
    ...(options.expose ?? []).flatMap((port) => ["--expose", String(port)]),
    ...(options.publish ?? []).flatMap((port) => ["--publish", port]),
    ...flag("--network", options.network),
    ...flag("--health-cmd", health?.command),
    ...flag("--health-interval", health === undefined ? undefined : (health.interval ?? "1s")),
    ...flag("--health-timeout", health?.timeout),
    ...flag("--health-retries", health?.retries),
    ...flag("--health-start-period", health?.startPeriod),
    ...flag("--stop-signal", options.stopSignal),
    ...flag("--stop-timeout", options.stopTimeout),
    ...(options.extra ?? []),
    options.image ?? WEB_IMAGE,
    ...(options.command ?? []),
  ];
}

function flag(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

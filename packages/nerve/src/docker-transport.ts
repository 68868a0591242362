import { readFile } from "node:fs/promises";
import type { Agent } from "node:https";
import { describeError, isStackError, StackError } from "@smartstack/core";
import type Docker from "dockerode";
import type { DockerConfig } from "./docker-config.ts";

/** Where an engine is, and how to be trusted by it. */
export type Endpoint = Pick<DockerConfig, "host" | "tls">;

/** Options of the library for clients of one engine. The TLS files are read anew each time: certificates are replaced. */
export type Transport = (timeoutMs: number) => Docker.DockerOptions;

/** @throws StackError CONFIG_INVALID, to be tried again, when a TLS file cannot be read. */
export async function openTransport({ host, tls }: Endpoint): Promise<Transport> {
  // The library mixes what it is given with DOCKER_HOST, DOCKER_CLIENT_TIMEOUT and others of the environment: say everything.
  const plain = { protocol: "http", ca: undefined, cert: undefined, key: undefined, agent: undefined };
  const common = tls === undefined ? plain : await secured(tls);
  const place = host.startsWith("unix://")
    ? { socketPath: host.slice("unix://".length), host: undefined, port: undefined }
    : { socketPath: undefined, ...tcpPlace(host, tls === undefined ? "2375" : "2376"), pathPrefix: "/" };
  return (timeout) => ({ ...common, ...place, timeout }) as unknown as Docker.DockerOptions;
}

/** For people: /var/run/docker.sock or host:port. */
export function targetOf(host: string): string {
  return host.replace(/^(unix|tcp):\/\//, "").replace(/\/$/, "") || host;
}

function tcpPlace(host: string, defaultPort: string): { readonly host: string; readonly port: string } {
  const { hostname, port } = new URL(host);
  return { host: hostname, port: port || defaultPort };
}

async function secured(tls: NonNullable<Endpoint["tls"]>): Promise<object> {
  const [ca, cert, key] = await Promise.all([
    material("ca_file", tls.ca_file),
    material("cert_file", tls.cert_file),
    material("key_file", tls.key_file),
  ]);
  // Without its own agent the library verifies, and shares the connections that Node keeps.
  const agent = tls.verify ? undefined : await trustingAgent();
  return { protocol: "https", ca, cert, key, agent };
}

async function trustingAgent(): Promise<Agent> {
  // Megabytes of Node that most processes never need.
  const { Agent } = await import("node:https");
  return new Agent({ rejectUnauthorized: false });
}

async function material(key: string, file: string | undefined): Promise<Buffer | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file);
  } catch (cause) {
    throw new StackError("CONFIG_INVALID", `docker.tls.${key}: cannot read ${file}`, {
      side: "config",
      retry: "after-backoff",
      cause,
    });
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "no such socket; start Docker, or set docker.host",
  ECONNREFUSED: "nobody listens; start Docker, or set docker.host",
  EACCES: "permission denied; add your user to group docker, or set docker.host",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed; set docker.tls.ca_file to it",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is from an unknown authority; set docker.tls.ca_file",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is from an unknown authority; set docker.tls.ca_file",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is from an unknown authority; set docker.tls.ca_file",
};

const STATUS_ADVICE: ReadonlyMap<number, string> = new Map([
  [400, "; is it TLS that it speaks? then set docker.tls"],
  [403, "; a socket proxy must allow CONTAINERS, EVENTS, PING, and INFO unless docker.node is set"],
]);

/** The HTTP status behind an error of the library. */
export function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number } | undefined)?.statusCode;
}

/** Says which engine was tried and what to do. */
export function dockerError(target: string, what: string, cause: unknown): StackError {
  if (isStackError(cause) && cause.code !== "DEADLINE") return cause;
  const status = statusOf(cause);
  if (status !== undefined) {
    const text = `docker at ${target}: ${what} answered ${status}${STATUS_ADVICE.get(status) ?? ""}`;
    return new StackError("DOCKER_FAILED", text, { side: "docker", retry: "after-backoff", cause });
  }
  const code = (cause as { code?: string } | undefined)?.code ?? "";
  const why = ADVICE[code] ?? describeError(cause);
  return new StackError("DOCKER_UNREACHABLE", `cannot reach ${target}: ${why}`, {
    side: "docker",
    retry: "after-backoff",
    // The advice replaces the library's words for the well-known cases.
    ...(code in ADVICE ? {} : { cause }),
  });
}

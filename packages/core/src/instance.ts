import { StackError } from "./errors.ts";

/** What may lie in a registry: `up` takes traffic, `draining` finishes what it has, `maintenance` takes none. */
export type InstanceState = "up" | "draining" | "maintenance";

export const INSTANCE_STATES: readonly InstanceState[] = ["up", "draining", "maintenance"];

/** A document above this many bytes is refused on both sides: registries are no place for blobs. */
export const DOCUMENT_BYTES_MAX = 16 * 1024;

/** The version this code writes. Readers take the keys they know from a higher one. */
const DOCUMENT_VERSION = 1;

/**
 * One `host:port` that offers a service, as it lies in a registry. The first six keys are those of Airbnb's nerve, in
 * its order, so that every reader of nerve's payload keeps working; `port` is always a number.
 */
export interface Instance {
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  /** 0–256; absent = 1. 0 takes no new traffic. */
  readonly weight?: number;
  readonly haproxyServerOptions?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly id?: string;
  /** The port synapse opens for the service. */
  readonly listen?: number;
  readonly mode?: "tcp" | "http";
  /** Absent = tcp; udp is announced but never routed. */
  readonly protocol?: "udp";
  readonly zone?: string;
  /** The first 12 hex digits of the container's id. */
  readonly container?: string;
  readonly image?: string;
  /** Which nerve's host announced it, and in which run of that nerve: see NodeEntry. */
  readonly node?: string;
  readonly boot?: string;
  /** Absent = up. */
  readonly state?: InstanceState;
  /** Wall clock, milliseconds since the epoch: when it entered its state. */
  readonly since?: number;
}

/** Which nerve owns a node's entries; lies on the same lease or session as they do. */
export interface NodeEntry {
  readonly node: string;
  /** A nonce made at each start of a nerve. */
  readonly boot: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly since: number;
  /** The host's name, for people. */
  readonly host: string;
}

/** An instance together with where it lies. */
export interface InstanceRecord {
  readonly service: string;
  readonly id: string;
  readonly instance: Instance;
}

/** The key order on the wire; the first six are a contract with readers of nerve's payload. */
const WIRE_KEYS = [
  ["host", "host"],
  ["port", "port"],
  ["name", "name"],
  ["weight", "weight"],
  ["haproxy_server_options", "haproxyServerOptions"],
  ["labels", "labels"],
  ["id", "id"],
  ["listen", "listen"],
  ["mode", "mode"],
  ["protocol", "protocol"],
  ["zone", "zone"],
  ["container", "container"],
  ["image", "image"],
  ["node", "node"],
  ["boot", "boot"],
  ["state", "state"],
  ["since", "since"],
] as const satisfies readonly (readonly [string, keyof Instance])[];

/**
 * Compact JSON in the contract's key order, absent keys left out.
 * @throws StackError DOCUMENT_INVALID when it would exceed DOCUMENT_BYTES_MAX.
 */
export function encodeInstance(instance: Instance): string {
  const text = wireText(instance);
  const bytes = Buffer.byteLength(text);
  if (bytes > DOCUMENT_BYTES_MAX) throw invalid(`document of ${instance.id ?? instance.host} has ${bytes} bytes`);
  return text;
}

function wireText(instance: Instance): string {
  const wire: Record<string, unknown> = {};
  for (const [wireKey, key] of WIRE_KEYS) {
    const value = instance[key];
    if (value !== undefined) wire[wireKey] = key === "labels" ? sorted(instance.labels ?? {}) : value;
  }
  wire.v = DOCUMENT_VERSION;
  return JSON.stringify(wire);
}

// Key order must not depend on the order in which Docker lists labels: equal instances are equal bytes.
function sorted(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Reads a document: ours of any version, or nerve's. What is unknown is ignored; host and port must be usable.
 * @throws StackError DOCUMENT_INVALID saying which key is wrong.
 */
export function decodeInstance(text: string): Instance {
  const raw = parseObject(text);
  const host = raw.host;
  if (typeof host !== "string" || host === "" || host.length > 255 || /[\s/\0]/.test(host))
    throw invalid("host is not a host name or address");
  return {
    host,
    port: portOf(raw.port, "port"),
    ...optional("name", raw.name, isString),
    ...optional("weight", raw.weight, isWeight),
    ...optional("haproxyServerOptions", raw.haproxy_server_options, isString),
    ...(isRecord(raw.labels) ? { labels: stringValues(raw.labels) } : {}),
    ...optional("id", raw.id, isString),
    ...(raw.listen === undefined || raw.listen === null ? {} : { listen: portOf(raw.listen, "listen") }),
    ...(raw.mode === "http" || raw.mode === "tcp" ? { mode: raw.mode } : {}),
    ...(raw.protocol === "udp" ? { protocol: "udp" as const } : {}),
    ...optional("zone", raw.zone, isString),
    ...optional("container", raw.container, isString),
    ...optional("image", raw.image, isString),
    ...optional("node", raw.node, isString),
    ...optional("boot", raw.boot, isString),
    ...optional("state", raw.state, isState),
    ...optional("since", raw.since, Number.isFinite as (value: unknown) => value is number),
  };
}

/** `{"node","boot","since","host"}`, compact. */
export function encodeNodeEntry(entry: NodeEntry): string {
  return JSON.stringify({ node: entry.node, boot: entry.boot, since: entry.since, host: entry.host });
}

/** @throws StackError DOCUMENT_INVALID */
export function decodeNodeEntry(text: string): NodeEntry {
  const raw = parseObject(text);
  if (!isString(raw.node) || !isString(raw.boot)) throw invalid("node entry without node or boot");
  return {
    node: raw.node,
    boot: raw.boot,
    since: typeof raw.since === "number" ? raw.since : 0,
    host: isString(raw.host) ? raw.host : "",
  };
}

/** Same bytes on the wire, also where they would be too many: a document read without our version has fewer. */
export function sameInstance(a: Instance, b: Instance): boolean {
  return wireText(a) === wireText(b);
}

function parseObject(text: string): Record<string, unknown> {
  if (Buffer.byteLength(text) > DOCUMENT_BYTES_MAX) throw invalid(`more than ${DOCUMENT_BYTES_MAX} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid("not JSON", cause);
  }
  if (!isRecord(value)) throw invalid("not a JSON object");
  return value;
}

function portOf(value: unknown, key: string): number {
  // Some writers of nerve's payload quote the port.
  const port = typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid(`${key} is not 1–65535`);
  return port;
}

function optional<K extends keyof Instance, V>(
  key: K,
  value: unknown,
  is: (value: unknown) => value is V,
): { [P in K]?: V } | Record<never, never> {
  return is(value) ? { [key]: value } : {};
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWeight(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 256;
}

function isState(value: unknown): value is InstanceState {
  return INSTANCE_STATES.includes(value as InstanceState);
}

function stringValues(record: Record<string, unknown>): Record<string, string> {
  const entries = Object.entries(record).filter((entry): entry is [string, string] => isString(entry[1]));
  return Object.fromEntries(entries);
}

function invalid(what: string, cause?: unknown): StackError {
  return new StackError("DOCUMENT_INVALID", what, { side: "registry", retry: "never", cause });
}

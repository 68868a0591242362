import { createHash } from "node:crypto";
import { DOCUMENT_BYTES_MAX, encodeInstance, type Instance, instanceIdProblem, StackError } from "@smartstack/core";

/** Above this many characters of base64 a name stays plain, as nerve's. */
const ENCODED_CHARS_MAX = 65_536;

/**
 * What Airbnb's nerve writes: compact JSON of these keys in this order, labels in the order they were given.
 * @throws StackError DOCUMENT_INVALID when it is longer than readers take.
 */
export function payloadOf(instance: Instance, instanceId: string): string {
  const { host, port, weight, haproxyServerOptions, labels, state = "up" } = instance;
  const text = JSON.stringify({
    host,
    port,
    name: instance.name ?? instanceId,
    // Its readers know no other way of saying "nothing new".
    weight: state === "up" ? weight : 0,
    haproxy_server_options: haproxyServerOptions,
    labels,
  });
  const bytes = Buffer.byteLength(text);
  if (bytes <= DOCUMENT_BYTES_MAX) return text;
  const message = `document of ${instance.id ?? host} has ${bytes} bytes; ${DOCUMENT_BYTES_MAX} are taken`;
  throw new StackError("DOCUMENT_INVALID", message, { side: "registry", retry: "never" });
}

/** The name of a node up to the number that ZooKeeper puts behind it for sequential types. */
export function nodeNameOf(payload: string, instanceId: string, encoded: boolean): string {
  const base64 = Buffer.from(payload).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  return encoded && base64.length <= ENCODED_CHARS_MAX ? `base64_${base64.length}_${base64}_` : `${instanceId}_`;
}

/** The payload that a node's name carries; undefined when it carries none that can be read. */
export function payloadIn(name: string): string | undefined {
  const [head, length] = /^base64_(\d{1,5})_/.exec(name) ?? [];
  if (head === undefined) return undefined;
  const base64 = name.slice(head.length, head.length + Number(length));
  const text = Buffer.from(base64, "base64url").toString();
  return base64.length === Number(length) && text.startsWith("{") ? text : undefined;
}

/** The id of a node's entry: its name, where that is one. */
export function idOf(name: string): string {
  return instanceIdProblem(name) === undefined ? name : createHash("sha256").update(name).digest("hex").slice(0, 24);
}

/**
 * One member of a Finagle server set as a document of ours. What is none is returned as it is: it does not parse then,
 * and is counted as such.
 */
export function fromServerSet(text: string, endpointName: string | undefined): string {
  try {
    const { serviceEndpoint, additionalEndpoints = {}, shard } = JSON.parse(text) as ServerSetMember;
    const { host, port } = (endpointName === undefined ? serviceEndpoint : additionalEndpoints[endpointName]) ?? {};
    if (host === undefined || port === undefined) return text;
    return encodeInstance({ host, port, ...(shard === undefined ? {} : { name: String(shard) }) });
  } catch {
    // Whatever it is, readers count it.
    return text;
  }
}

interface ServerSetMember {
  readonly serviceEndpoint?: Endpoint;
  readonly additionalEndpoints?: Readonly<Record<string, Endpoint>>;
  readonly shard?: number | string;
}

interface Endpoint {
  readonly host?: string;
  readonly port?: number;
}

import {
  decodeInstance,
  decodeNodeEntry,
  describeError,
  type Entry,
  encodeInstance,
  type Instance,
  instanceIdProblem,
  isStackError,
  nodeNameProblem,
  serviceNameProblem,
  type Update,
} from "@smartstack/core";

/** One entry as it lies in a registry; `hold` is the lease or session it hangs on, where the kind of registry has such. */
export interface Held {
  readonly text: string;
  readonly hold?: string;
}

/** What lies at some paths now; undefined: nothing. Paths are relative to the prefix: `web/abc-80`, `.nodes/node-a`. */
export type Changes = ReadonlyMap<string, Held | undefined>;

const NODES = ".nodes";

type Place = { readonly kind: "instance"; readonly service: string; readonly id: string } | NodePlace;
interface NodePlace {
  readonly kind: "node";
  readonly id: string;
}

export function instancePath(service: string, id: string): string {
  return `${service}/${id}`;
}

export function nodePath(node: string): string {
  return `${NODES}/${node}`;
}

/** The document of an instance; undefined when it would be longer than readers take. */
export function encodeIfFits(instance: Instance): string | undefined {
  try {
    return encodeInstance(instance);
  } catch (error) {
    if (isStackError(error) && error.code === "DOCUMENT_INVALID") return undefined;
    throw error;
  }
}

/** What a path means; undefined for what is not ours, which everybody may keep under the prefix. */
export function placeOf(path: string): Place | undefined {
  const slash = path.indexOf("/");
  if (slash < 0) return undefined;
  const [folder, id] = [path.slice(0, slash), path.slice(slash + 1)];
  if (folder === NODES) return nodeNameProblem(id) === undefined ? { kind: "node", id } : undefined;
  if (serviceNameProblem(folder) !== undefined || instanceIdProblem(id) !== undefined) return undefined;
  return { kind: "instance", service: folder, id };
}

interface Known {
  readonly held: Held;
  /** Absent when the document does not parse. */
  readonly entry?: Entry;
}

/** The node whose nerve holds the instance at a path, and lives; undefined when it is free to take. */
export function livingHolder(contents: Pick<Contents, "get" | "instance">, path: string): string | undefined {
  const node = contents.instance(path)?.node;
  return node !== undefined && contents.get(nodePath(node)) !== undefined ? node : undefined;
}

/** What one change means to those who watch. */
export interface Delta {
  readonly nodes: readonly Update[];
  readonly services: ReadonlyMap<string, readonly Update[]>;
  /** A service got its first entry or lost its last one. */
  readonly namesChanged: boolean;
}

/** A copy of everything under a prefix. */
export interface Contents {
  get(path: string): Held | undefined;
  /** The instance at a path, if there is one that parses. */
  instance(path: string): Instance | undefined;
  paths(): Iterable<string>;
  apply(changes: Changes): Delta;
  entriesOf(service: string): Entry[];
  /** Sorted. */
  serviceNames(): string[];
}

export type Reject = (service: string, id: string, reason: string) => void;

/** `reject` is told of each document that does not parse, once for each of its texts. */
export function contents(reject: Reject): Contents {
  const known = new Map<string, Known>();
  const services = new Map<string, Map<string, Known>>();
  const nodes = new Map<string, Known>();

  const store = (path: string, place: Place, value: Known | undefined): void => {
    if (value === undefined) known.delete(path);
    else known.set(path, value);
    if (place.kind === "node") {
      put(nodes, place.id, value);
      return;
    }
    const ids = services.get(place.service) ?? new Map<string, Known>();
    put(ids, place.id, value);
    if (ids.size === 0) services.delete(place.service);
    else services.set(place.service, ids);
  };

  return {
    get: (path) => known.get(path)?.held,
    instance(path) {
      const entry = known.get(path)?.entry;
      return entry?.kind === "instance" ? entry.instance : undefined;
    },
    paths: () => known.keys(),
    apply(changes) {
      const nodeUpdates: Update[] = [];
      const serviceUpdates = new Map<string, Update[]>();
      let namesChanged = false;
      for (const [path, held] of changes) {
        const place = placeOf(path);
        const before = known.get(path);
        if (place === undefined || (before === undefined && held === undefined)) continue;
        if (before !== undefined && before.held.text === held?.text) {
          // The same words on another lease: no news to watchers.
          store(path, place, { ...before, held });
          continue;
        }
        const after = held === undefined ? undefined : parse(place, held, reject);
        const wasNamed = place.kind === "instance" && services.has(place.service);
        store(path, place, after);
        const update = updateTo(place, after);
        if (place.kind === "node") {
          nodeUpdates.push(update);
          continue;
        }
        namesChanged ||= wasNamed !== services.has(place.service);
        const updates = serviceUpdates.get(place.service);
        if (updates === undefined) serviceUpdates.set(place.service, [update]);
        else updates.push(update);
      }
      return { nodes: nodeUpdates, services: serviceUpdates, namesChanged };
    },
    entriesOf: (service) =>
      [...(services.get(service)?.values() ?? []), ...nodes.values()].flatMap(({ entry }) =>
        entry === undefined ? [] : [entry],
      ),
    serviceNames: () => [...services.keys()].sort(),
  };
}

function put<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}

function parse(place: Place, held: Held, reject: Reject): Known {
  const { id } = place;
  try {
    if (place.kind === "node") return { held, entry: { kind: "node", id, node: decodeNodeEntry(held.text) } };
    return { held, entry: { kind: "instance", id, instance: decodeInstance(held.text) } };
  } catch (error) {
    reject(place.kind === "node" ? NODES : place.service, id, describeError(error));
    return { held };
  }
}

function updateTo(place: Place, after: Known | undefined): Update {
  if (after?.entry === undefined) return { type: "drop", kind: place.kind, id: place.id };
  return { type: "put", entry: after.entry };
}

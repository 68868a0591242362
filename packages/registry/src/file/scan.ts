import {
  decodeInstance,
  decodeNodeEntry,
  encodeNodeEntry,
  nodeNameProblem,
  serviceNameProblem,
} from "@smartstack/core";
import { nodePath, placeOf } from "../contents.ts";
import { inParts } from "../in-parts.ts";
import type { Disk, Folder } from "./disk.ts";

export const NODES = ".nodes";
const READS_MAX = 64;
const ROUNDS_MAX = 3;

export interface NodeFile {
  /** The node entry without its counter. */
  readonly text: string;
  readonly boot: string;
  /** Changes with each renewal. */
  readonly pulse: string;
}

export interface InstanceFile {
  readonly text: string;
  /** Whose it is; absent for files that nobody renews, and for those that do not parse. */
  readonly node?: string;
}

export interface Snapshot {
  readonly nodes: ReadonlyMap<string, NodeFile>;
  readonly instances: ReadonlyMap<string, InstanceFile>;
  readonly folders: ReadonlyMap<string, Folder>;
}

/** Reads the directory again and again, each file only when it changed. Undefined when the directory is not there. */
export function scanner(disk: Disk): () => Promise<Snapshot | undefined> {
  let cache = new Map<string, { readonly signature: string; readonly file: InstanceFile }>();
  let nodesBefore = new Map<string, NodeFile>();

  const readNodes = async (): Promise<Map<string, NodeFile>> => {
    const nodes = new Map<string, NodeFile>();
    const names = (await disk.entries(NODES)).filter((name) => nodeNameProblem(name) === undefined);
    await inParts(names, READS_MAX, async (name) => {
      const text = await disk.read(nodePath(name));
      // A node entry is overwritten in place: what reads torn is the one from before.
      const found = text === undefined ? undefined : (nodeFileOf(text) ?? nodesBefore.get(name));
      if (found !== undefined) nodes.set(name, found);
    });
    nodesBefore = nodes;
    return nodes;
  };
  const readInstances = async (services: readonly string[]): Promise<Map<string, InstanceFile>> => {
    const lists = await Promise.all(
      services.map(async (service) => (await disk.entries(service)).map((id) => `${service}/${id}`)),
    );
    const next: typeof cache = new Map();
    await inParts(lists.flat(), READS_MAX, async (path) => {
      if (placeOf(path) === undefined) return;
      const seen = await disk.see(path);
      const known = cache.get(path);
      if (seen === undefined) return;
      if (known?.signature === seen.signature) {
        next.set(path, known);
        return;
      }
      const text = await disk.read(path);
      if (text !== undefined) next.set(path, { signature: seen.signature, file: instanceFileOf(text) });
    });
    cache = next;
    return new Map([...next].map(([path, { file }]) => [path, file]));
  };

  return async () => {
    const folders = await disk.folders();
    if (folders === undefined) return undefined;
    let nodes = await readNodes();
    for (let round = 1; ; round++) {
      const seen = await disk.seeFolders(folders);
      const services = ((await disk.folders()) ?? []).filter((name) => serviceNameProblem(name) === undefined);
      const instances = await readInstances(services);
      const after = await readNodes();
      // A boot that appeared meanwhile wrote its instances before its node entry: they may not have been there yet.
      const settled = [...after].every(([name, { boot }]) => nodes.get(name)?.boot === boot);
      nodes = after;
      if (settled || round === ROUNDS_MAX) return { nodes, instances, folders: seen };
    }
  };
}

/** Undefined when it is none. */
function nodeFileOf(text: string): NodeFile | undefined {
  try {
    const entry = decodeNodeEntry(text);
    return { text: encodeNodeEntry(entry), boot: entry.boot, pulse: text };
  } catch {
    // Torn or foreign: no node entry.
    return undefined;
  }
}

function instanceFileOf(text: string): InstanceFile {
  try {
    const { node } = decodeInstance(text);
    return node === undefined ? { text } : { text, node };
  } catch {
    // Readers of the contents count and hide it.
    return { text };
  }
}

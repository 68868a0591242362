import { serviceNameProblem } from "@smartstack/core";
import { type Held, placeOf, type Reject } from "../contents.ts";
import type { Source } from "../mirror.ts";
import type { ZooKeeper } from "./client.ts";
import { following, type Tree } from "./follow.ts";
import { FORBIDDEN, type Reader, reader } from "./reader.ts";

const NODES = ".nodes";

/** Reads the tree under the prefix and keeps reading what its one-shot watches point at. */
export function zooKeeperSource(
  connect: (signal: AbortSignal) => Promise<ZooKeeper>,
  prefix: string,
  proved: (zxid?: number) => void,
  reject: Reject,
): Source {
  return following(connect, (zk, touched) => watchedTree(reader(zk, "", touched, reject), prefix), proved);
}

/** What is known of the tree while it is read. Paths are relative to the prefix; "" is the prefix itself. */
interface TreeState {
  readonly reader: Reader;
  readonly prefix: string;
  /** The children known of each folder. */
  readonly folders: Map<string, Set<string>>;
  changes: Map<string, Held | undefined>;
  /** Instances that vanished with their nerve and instances that were withdrawn differ by the node entry alone. */
  mustCheckNodes: boolean;
}

function watchedTree(reader: Reader, prefix: string): Tree {
  const state: TreeState = {
    reader,
    prefix,
    folders: new Map(),
    changes: new Map(),
    mustCheckNodes: false,
  };
  return {
    dirty: reader.dirty,
    retry: reader.retry,
    read(path) {
      if (path === NODES) state.mustCheckNodes = false;
      return read(state, path);
    },
    changes() {
      const { changes } = state;
      state.changes = new Map();
      return changes;
    },
    settled() {
      if (state.mustCheckNodes) reader.dirty.add(NODES);
    },
  };
}

function read(state: TreeState, path: string): Promise<void> {
  if (path === "") return readRoot(state);
  const slash = path.indexOf("/");
  return slash < 0 ? readFolder(state, path) : readLeaf(state, path.slice(0, slash), path);
}

async function readRoot(state: TreeState): Promise<void> {
  const { reader, prefix, folders } = state;
  const names = await reader.childrenOrNone("", prefix);
  const wanted = new Set(names.filter((name) => name === NODES || serviceNameProblem(name) === undefined));
  for (const name of [...folders.keys()]) if (!wanted.has(name)) removeFolder(state, name);
  for (const name of wanted) {
    if (folders.has(name)) continue;
    folders.set(name, new Set());
    reader.dirty.add(name);
  }
}

async function readFolder(state: TreeState, name: string): Promise<void> {
  const ids = await state.reader.children(name, `${state.prefix}/${name}`);
  const known = state.folders.get(name);
  if (known === undefined) return;
  if (ids === undefined) {
    // It may be back already, unseen: the prefix knows.
    state.reader.dirty.add("");
    removeFolder(state, name);
    return;
  }
  const present = new Set(ids === FORBIDDEN ? [] : ids);
  for (const id of known) {
    if (present.has(id)) continue;
    known.delete(id);
    gone(state, `${name}/${id}`);
  }
  for (const id of present) {
    const path = `${name}/${id}`;
    if (known.has(id) || placeOf(path) === undefined) continue;
    known.add(id);
    state.reader.dirty.add(path);
  }
}

async function readLeaf(state: TreeState, name: string, path: string): Promise<void> {
  const id = path.slice(name.length + 1);
  if (state.folders.get(name)?.has(id) !== true) return;
  const held = await state.reader.read(path, `${state.prefix}/${path}`);
  if (held === FORBIDDEN) state.changes.set(path, undefined);
  else if (held !== undefined) state.changes.set(path, held);
  else if (state.folders.get(name)?.delete(id) === true) gone(state, path);
}

function removeFolder(state: TreeState, name: string): void {
  for (const id of state.folders.get(name) ?? []) gone(state, `${name}/${id}`);
  state.folders.delete(name);
  state.reader.forget(name);
}

function gone(state: TreeState, path: string): void {
  state.changes.set(path, undefined);
  state.reader.forget(path);
  if (!path.startsWith(`${NODES}/`)) state.mustCheckNodes = true;
}

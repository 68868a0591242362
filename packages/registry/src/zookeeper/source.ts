import { serviceNameProblem } from "@smartstack/core";
import { type Held, placeOf } from "../contents.ts";
import type { Source } from "../mirror.ts";
import type { ZooKeeper } from "./client.ts";
import { childrenOrNone, following, type Tree } from "./follow.ts";

const NODES = ".nodes";

/** Reads the tree under the prefix and keeps reading what its one-shot watches point at. */
export function zooKeeperSource(
  connect: (signal: AbortSignal) => Promise<ZooKeeper>,
  prefix: string,
  proved: (zxid: number) => void,
): Source {
  return following(connect, (zk, touched) => watchedTree(zk, prefix, touched), proved);
}

/** What is known of the tree while it is read. Paths are relative to the prefix; "" is the prefix itself. */
interface TreeState {
  readonly zk: ZooKeeper;
  readonly prefix: string;
  /** Touched, and not read since. */
  readonly dirty: Set<string>;
  /** The children known of each folder. */
  readonly folders: Map<string, Set<string>>;
  /** One function for each path: the library leaves a watcher once, however often the same function is passed. */
  readonly watchers: Map<string, () => void>;
  readonly touched: () => void;
  changes: Map<string, Held | undefined>;
  /** Instances that vanished with their nerve and instances that were withdrawn differ by the node entry alone. */
  mustCheckNodes: boolean;
}

function watchedTree(zk: ZooKeeper, prefix: string, touched: () => void): Tree {
  const state: TreeState = {
    zk,
    prefix,
    dirty: new Set([""]),
    folders: new Map(),
    watchers: new Map(),
    touched,
    changes: new Map(),
    mustCheckNodes: false,
  };
  return {
    dirty: state.dirty,
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
      if (state.mustCheckNodes) state.dirty.add(NODES);
    },
  };
}

function read(state: TreeState, path: string): Promise<void> {
  if (path === "") return readRoot(state);
  const slash = path.indexOf("/");
  return slash < 0 ? readFolder(state, path) : readLeaf(state, path.slice(0, slash), path);
}

async function readRoot(state: TreeState): Promise<void> {
  const { zk, prefix, folders, dirty } = state;
  const names = await childrenOrNone(zk, prefix, watcherOf(state, ""));
  const wanted = new Set(names.filter((name) => name === NODES || serviceNameProblem(name) === undefined));
  for (const name of [...folders.keys()]) if (!wanted.has(name)) removeFolder(state, name);
  for (const name of wanted) {
    if (folders.has(name)) continue;
    folders.set(name, new Set());
    dirty.add(name);
  }
}

async function readFolder(state: TreeState, name: string): Promise<void> {
  const ids = await state.zk.children(`${state.prefix}/${name}`, watcherOf(state, name));
  const known = state.folders.get(name);
  if (known === undefined) return;
  if (ids === undefined) {
    // It may be back already, unseen: the prefix knows.
    state.dirty.add("");
    removeFolder(state, name);
    return;
  }
  const present = new Set(ids);
  for (const id of known) {
    if (present.has(id)) continue;
    known.delete(id);
    gone(state, `${name}/${id}`);
  }
  for (const id of present) {
    const path = `${name}/${id}`;
    if (known.has(id) || placeOf(path) === undefined) continue;
    known.add(id);
    state.dirty.add(path);
  }
}

async function readLeaf(state: TreeState, name: string, path: string): Promise<void> {
  const id = path.slice(name.length + 1);
  if (state.folders.get(name)?.has(id) !== true) return;
  const held = await state.zk.read(`${state.prefix}/${path}`, watcherOf(state, path));
  if (held !== undefined) state.changes.set(path, held);
  else if (state.folders.get(name)?.delete(id) === true) gone(state, path);
}

function removeFolder(state: TreeState, name: string): void {
  for (const id of state.folders.get(name) ?? []) gone(state, `${name}/${id}`);
  state.folders.delete(name);
  state.watchers.delete(name);
}

function gone(state: TreeState, path: string): void {
  state.changes.set(path, undefined);
  state.watchers.delete(path);
  if (!path.startsWith(`${NODES}/`)) state.mustCheckNodes = true;
}

function watcherOf(state: TreeState, path: string): () => void {
  const watcher =
    state.watchers.get(path) ??
    ((): void => {
      state.dirty.add(path);
      state.touched();
    });
  state.watchers.set(path, watcher);
  return watcher;
}

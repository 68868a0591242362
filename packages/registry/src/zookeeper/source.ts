import { serviceNameProblem } from "@smartstack/core";
import { type Held, placeOf } from "../contents.ts";
import { type Sink, type Source, watchLost } from "../mirror.ts";
import type { ZooKeeper } from "./client.ts";

const NODES = ".nodes";
/** How many reads are on their way at once. */
const READS_MAX = 256;
/** Rounds of reading before what was found is reported although more has changed meanwhile. */
const ROUNDS_MAX = 200;

/** Reads the tree under the prefix and keeps reading what its one-shot watches point at. */
export function zooKeeperSource(connect: (signal: AbortSignal) => Promise<ZooKeeper>, prefix: string): Source {
  return async (sink, signal) => {
    const zk = await connect(signal);
    try {
      await follow(zk, prefix, sink, signal);
    } finally {
      await zk.end();
    }
  };
}

async function follow(zk: ZooKeeper, prefix: string, sink: Sink, signal: AbortSignal): Promise<void> {
  let wake: () => void = () => undefined;
  const tree = watchedTree(zk, prefix, () => wake());
  const ended = (): void => wake();
  signal.addEventListener("abort", ended);
  zk.closed.addEventListener("abort", ended);
  try {
    sink.reset((await tree.settle()) as ReadonlyMap<string, Held>);
    while (!signal.aborted) {
      if (zk.closed.aborted) throw watchLost("the connection to ZooKeeper ended", zk.closed.reason);
      if (!tree.pending()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const changes = await tree.settle();
      if (changes.size > 0) sink.apply(changes);
    }
  } finally {
    signal.removeEventListener("abort", ended);
    zk.closed.removeEventListener("abort", ended);
  }
}

interface Tree {
  /** Something was touched since the last settle. */
  pending(): boolean;
  /** Reads all that was touched, and what that leads to, until nothing more is; what changed by that. */
  settle(): Promise<Map<string, Held | undefined>>;
}

/**
 * Paths are relative to the prefix; "" is the prefix itself. ZooKeeper sends the events of a change before any answer
 * that shows it, so that once nothing is left to read, what was read is one moment.
 */
function watchedTree(zk: ZooKeeper, prefix: string, touched: () => void): Tree {
  const dirty = new Set<string>([""]);
  const folders = new Map<string, Set<string>>();
  const watchers = new Map<string, () => void>();
  let changes = new Map<string, Held | undefined>();
  // Instances that vanished with their nerve and instances that were withdrawn differ by the node entry alone.
  let mustCheckNodes = false;

  const touch = (path: string): void => {
    dirty.add(path);
    touched();
  };
  // One function for each path: the library leaves a watcher once, however often the same function is passed.
  const watcherOf = (path: string): (() => void) => {
    const watcher = watchers.get(path) ?? ((): void => touch(path));
    watchers.set(path, watcher);
    return watcher;
  };
  const gone = (path: string): void => {
    changes.set(path, undefined);
    watchers.delete(path);
    if (!path.startsWith(`${NODES}/`)) mustCheckNodes = true;
  };
  const removeFolder = (name: string): void => {
    for (const id of folders.get(name) ?? []) gone(`${name}/${id}`);
    folders.delete(name);
    watchers.delete(name);
  };

  const readRoot = async (): Promise<void> => {
    let names = await zk.children(prefix, watcherOf(""));
    if (names === undefined && (await zk.exists(prefix, watcherOf(""))) !== undefined)
      names = await zk.children(prefix, watcherOf(""));
    const wanted = new Set((names ?? []).filter((name) => name === NODES || serviceNameProblem(name) === undefined));
    for (const name of [...folders.keys()]) if (!wanted.has(name)) removeFolder(name);
    for (const name of wanted) {
      if (folders.has(name)) continue;
      folders.set(name, new Set());
      dirty.add(name);
    }
  };
  const readFolder = async (name: string): Promise<void> => {
    const ids = await zk.children(`${prefix}/${name}`, watcherOf(name));
    const known = folders.get(name);
    if (ids === undefined) {
      // It may be back already, unseen: the prefix knows.
      if (known !== undefined) dirty.add("");
      return removeFolder(name);
    }
    if (known === undefined) return;
    const present = new Set(ids);
    for (const id of known) {
      if (present.has(id)) continue;
      known.delete(id);
      gone(`${name}/${id}`);
    }
    for (const id of present) {
      const path = `${name}/${id}`;
      if (known.has(id) || placeOf(path) === undefined) continue;
      known.add(id);
      dirty.add(path);
    }
  };
  const readLeaf = async (name: string, path: string): Promise<void> => {
    const known = folders.get(name);
    const id = path.slice(name.length + 1);
    if (known?.has(id) !== true) return;
    const held = await zk.read(path === "" ? prefix : `${prefix}/${path}`, watcherOf(path));
    if (held !== undefined) changes.set(path, held);
    else if (known.delete(id)) gone(path);
  };
  const read = (path: string): Promise<void> => {
    if (path === "") return readRoot();
    const slash = path.indexOf("/");
    return slash < 0 ? readFolder(path) : readLeaf(path.slice(0, slash), path);
  };

  return {
    pending: () => dirty.size > 0,
    async settle() {
      changes = new Map();
      for (let round = 0; round < ROUNDS_MAX; round++) {
        if (dirty.size === 0 && mustCheckNodes) dirty.add(NODES);
        const part = [...dirty].slice(0, READS_MAX);
        if (part.length === 0) break;
        if (part.includes(NODES)) mustCheckNodes = false;
        for (const path of part) dirty.delete(path);
        await Promise.all(part.map(read));
      }
      return changes;
    },
  };
}

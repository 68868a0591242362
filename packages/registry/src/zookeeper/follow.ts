import type { Held } from "../contents.ts";
import { type Sink, type Source, watchLost } from "../mirror.ts";
import type { ZooKeeper } from "./client.ts";

/** How many reads are on their way at once. */
const READS_MAX = 256;
/** Rounds of reading, beside those that read each entry once, before what was found is reported although more has changed. */
const ROUNDS_MAX = 200;

/** What one-shot watches point at, and how it is read. */
export interface Tree {
  /** Touched, and not read since. */
  readonly dirty: Set<string>;
  /** Reads one of them, notes what changed, and may touch more. */
  read(path: string): Promise<void>;
  /** What changed since the last call. */
  changes(): Map<string, Held | undefined>;
  /** Called when nothing is dirty any more; may touch more. */
  settled?(): void;
}

/**
 * Reads a tree and keeps reading what its watches touch. `touched` is to be called whenever they touch something;
 * `proved` is called whenever the server showed that there is nothing that it has not told of.
 */
export function following(
  connect: (signal: AbortSignal) => Promise<ZooKeeper>,
  treeOf: (zk: ZooKeeper, touched: () => void) => Tree,
  proved: (zxid: number) => void,
): Source {
  return async (sink, signal) => {
    const zk = await connect(signal);
    // ZooKeeper sends the events of a change before any answer that is newer than it.
    zk.onBeat(proved);
    try {
      await follow(zk, treeOf, sink, signal);
    } finally {
      await zk.end();
    }
  };
}

async function follow(
  zk: ZooKeeper,
  treeOf: (zk: ZooKeeper, touched: () => void) => Tree,
  sink: Sink,
  signal: AbortSignal,
): Promise<void> {
  let wake: () => void = () => undefined;
  const tree = treeOf(zk, () => wake());
  const ended = (): void => wake();
  signal.addEventListener("abort", ended);
  zk.closed.addEventListener("abort", ended);
  try {
    await settle(tree);
    sink.reset(tree.changes() as ReadonlyMap<string, Held>);
    while (!signal.aborted) {
      if (zk.closed.aborted) throw watchLost("the connection to ZooKeeper ended", zk.closed.reason);
      if (tree.dirty.size === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      await settle(tree);
      const changes = tree.changes();
      if (changes.size > 0) sink.apply(changes);
    }
  } finally {
    signal.removeEventListener("abort", ended);
    zk.closed.removeEventListener("abort", ended);
  }
}

/**
 * Reads all that was touched, and what that leads to, until nothing more is. ZooKeeper sends the events of a change before
 * any answer that shows it, so that once nothing is left to read, what was read is one moment.
 */
async function settle(tree: Tree): Promise<void> {
  const { dirty } = tree;
  let unread = 0;
  for (let round = 0; round < ROUNDS_MAX + unread / READS_MAX; round++) {
    unread = Math.max(unread, dirty.size);
    if (dirty.size === 0) tree.settled?.();
    const part = [...dirty].slice(0, READS_MAX);
    if (part.length === 0) return;
    for (const path of part) dirty.delete(path);
    await Promise.all(part.map((path) => tree.read(path)));
  }
}

/** The children of a node that need not be there yet; `watcher` is left in either case. */
export async function childrenOrNone(zk: ZooKeeper, path: string, watcher: () => void): Promise<string[]> {
  const names = await zk.children(path, watcher);
  if (names !== undefined || (await zk.exists(path, watcher)) === undefined) return names ?? [];
  return (await zk.children(path, watcher)) ?? [];
}

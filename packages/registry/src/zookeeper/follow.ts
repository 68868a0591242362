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
  /** Called from time to time, for what no watch tells of; may touch more. */
  retry(): void;
}

/**
 * Reads a tree and keeps reading what its watches touch. `touched` is to be called whenever they touch something;
 * `proved` is called whenever all that the server has told of was read: an answer proves nothing while something is unread.
 */
export function following(
  connect: (signal: AbortSignal) => Promise<ZooKeeper>,
  treeOf: (zk: ZooKeeper, touched: () => void) => Tree,
  proved: (zxid?: number) => void,
): Source {
  return async (sink, signal) => {
    const zk = await connect(signal);
    try {
      await follow(zk, treeOf, sink, proved, signal);
    } finally {
      await zk.end();
    }
  };
}

async function follow(
  zk: ZooKeeper,
  treeOf: (zk: ZooKeeper, touched: () => void) => Tree,
  sink: Sink,
  proved: (zxid?: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let quiet = false;
  let wake: () => void = () => undefined;
  const tree = treeOf(zk, () => wake());
  const ended = (): void => wake();
  zk.onBeat((zxid) => {
    // ZooKeeper sends the events of a change before any answer that is newer than it.
    if (quiet && tree.dirty.size === 0) proved(zxid);
    tree.retry();
  });
  signal.addEventListener("abort", ended);
  zk.closed.addEventListener("abort", ended);
  try {
    await settle(tree);
    sink.reset(tree.changes() as ReadonlyMap<string, Held>);
    while (!signal.aborted) {
      if (zk.closed.aborted) throw watchLost("the connection to ZooKeeper ended", zk.closed.reason);
      quiet = tree.dirty.size === 0;
      if (quiet) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      await settle(tree);
      const changes = tree.changes();
      if (changes.size > 0) sink.apply(changes);
      if (tree.dirty.size === 0) proved();
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

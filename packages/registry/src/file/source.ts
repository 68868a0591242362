import { type Clock, sleep } from "@smartstack/core";
import { watch } from "chokidar";
import { type Held, nodePath } from "../contents.ts";
import { type Source, watchLost } from "../mirror.ts";
import type { Disk } from "./disk.ts";
import { liveness } from "./liveness.ts";
import { type Snapshot, scanner } from "./scan.ts";
import { longDead } from "./sweep.ts";

/** The net under the notifications, which network file systems do not send. */
const POLL_MS = 1_000;

/** Between a notification and the look: what is written together is seen together. */
const SETTLE_MS = 20;

export interface FileSourceOptions {
  readonly root: string;
  readonly disk: Disk;
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** What was told is the truth; nothing but counters has changed since `revision`. */
  readonly onProof: (revision: number) => void;
  /** What was found, and which nodes have been dead for long. Not awaited. */
  readonly onDead: (snapshot: Snapshot, dead: readonly string[]) => void;
}

/** Looks at the directory when told and every second, and reports what differs. */
export function fileSource({ root, disk, ttlMs, clock, onError, onProof, onDead }: FileSourceOptions): Source {
  return async (sink, signal) => {
    const changed = trigger(root, onError);
    const scan = scanner(disk);
    const alive = liveness(ttlMs, 2 * POLL_MS);
    const deadIn = longDead(ttlMs, 2 * POLL_MS);
    let lookedMs = clock.monotonic();
    let shown: ReadonlyMap<string, Held> | undefined;
    try {
      while (!signal.aborted) {
        const snapshot = await scan();
        // Not the same as empty: a volume that went away has removed nothing.
        if (snapshot === undefined) throw watchLost(`directory ${root} does not exist`);
        const nowMs = clock.monotonic();
        const next = visible(snapshot, alive.observe(snapshot.nodes, nowMs - lookedMs));
        const dead = deadIn(snapshot, nowMs - lookedMs);
        if (dead.length > 0) onDead(snapshot, dead);
        lookedMs = nowMs;
        if (signal.aborted) return;
        if (shown === undefined) sink.reset(next);
        else {
          const changes = difference(shown, next);
          if (changes.size > 0) sink.apply(changes);
        }
        shown = next;
        onProof(snapshot.changedMs);
        await changed.next(clock, signal);
      }
    } finally {
      await changed.close();
    }
  };
}

/** The entries of nodes that live, and those of nobody. Those of a node come and go with its entry. */
function visible({ nodes, instances }: Snapshot, alive: ReadonlySet<string>): Map<string, Held> {
  const shown = new Map<string, Held>();
  for (const [name, { text }] of nodes) if (alive.has(name)) shown.set(nodePath(name), { text });
  for (const [path, { text, node }] of instances) if (node === undefined || alive.has(node)) shown.set(path, { text });
  return shown;
}

function difference(
  before: ReadonlyMap<string, Held>,
  after: ReadonlyMap<string, Held>,
): Map<string, Held | undefined> {
  const changes = new Map<string, Held | undefined>();
  for (const path of before.keys()) if (!after.has(path)) changes.set(path, undefined);
  for (const [path, held] of after) if (before.get(path)?.text !== held.text) changes.set(path, held);
  return changes;
}

interface Trigger {
  /** Resolves when something was renamed in the directory since the last call, after POLL_MS, or when aborted. */
  next(clock: Clock, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

function trigger(root: string, onError: (error: unknown) => void): Trigger {
  let touched = false;
  let wake: () => void = () => undefined;
  // Directories only: a watch for each file would use up the kernel's, and renewals would ring all the time.
  const watcher = watch(root, { depth: 1, ignoreInitial: true, ignored: (_, stats) => stats?.isFile() === true });
  watcher.on("raw", (event) => {
    if (event !== "rename") return;
    touched = true;
    wake();
  });
  watcher.on("error", onError);
  return {
    async next(clock, signal) {
      if (!touched && !signal.aborted) {
        const pause = new AbortController();
        wake = () => pause.abort();
        signal.addEventListener("abort", wake, { once: true });
        await sleep(clock, POLL_MS, pause.signal);
        signal.removeEventListener("abort", wake);
      }
      if (touched) await sleep(clock, SETTLE_MS, signal);
      touched = false;
    },
    close: () => watcher.close(),
  };
}

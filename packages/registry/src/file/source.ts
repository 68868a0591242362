import type { Clock } from "@smartstack/core";
import { type Held, nodePath } from "../contents.ts";
import { type Source, watchLost } from "../mirror.ts";
import type { Disk } from "./disk.ts";
import { liveness } from "./liveness.ts";
import { type Snapshot, scanner } from "./scan.ts";
import { longDead } from "./sweep.ts";
import { POLL_MS, trigger } from "./trigger.ts";

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
  // What stood still before a disturbance still stands still behind it.
  const alive = liveness(ttlMs, 2 * POLL_MS);
  const deadIn = longDead(ttlMs, 2 * POLL_MS);
  let lookedMs = clock.monotonic();
  return async (sink, signal) => {
    const changed = trigger(root, onError);
    const scan = scanner(disk);
    let shown: ReadonlyMap<string, Held> | undefined;
    let folders: Snapshot["folders"] = new Map();
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
        onProof(changedMs(snapshot));
        if (replaced(folders, snapshot.folders)) changed.rearm();
        folders = snapshot.folders;
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

/** When anything but a counter changed last, in whole milliseconds. */
function changedMs({ folders }: Snapshot): number {
  return Math.floor(Math.max(0, ...[...folders.values()].map((folder) => folder.changedMs)));
}

/** Whether a folder went or is another one than it was: unlinked and made again, or the root's link was turned. */
function replaced(before: Snapshot["folders"], after: Snapshot["folders"]): boolean {
  return [...before].some(([name, { identity }]) => after.get(name)?.identity !== identity);
}

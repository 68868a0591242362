import { serviceNameProblem } from "@smartstack/core";
import { nodePath } from "../contents.ts";
import { bootOf } from "../session.ts";
import type { Disk } from "./disk.ts";
import { liveness } from "./liveness.ts";
import { NODES, type Snapshot } from "./scan.ts";

/** For so many ttls a dead node's files wait for its return, with what an operator had set in them. */
const SWEEP_TTLS = 10;

/** Who holds what for longer than anybody waits for it. Called with each look at the directory. */
export type Dead = (snapshot: Snapshot, elapsedMs: number) => string[];

/** Nodes whose file, or whose instances without one, stood still for so long on this reader's clock. */
export function longDead(ttlMs: number, stepMsMax: number): Dead {
  const alive = liveness(SWEEP_TTLS * ttlMs, stepMsMax);
  return ({ nodes, instances }, elapsedMs) => {
    const seen = new Map(nodes);
    for (const { node } of instances.values()) {
      if (node !== undefined && !seen.has(node)) seen.set(node, { text: "", boot: "", pulse: "" });
    }
    const living = alive.observe(seen, elapsedMs);
    return [...seen.keys()].filter((name) => !living.has(name));
  };
}

/** Sweeps up after dead nodes, one at a time, while `may` allows it. */
export function sweeper(
  disk: Disk,
  may: () => boolean,
  note: (error: unknown) => void,
): (snapshot: Snapshot, dead: readonly string[]) => void {
  let busy = false;
  return (snapshot, dead) => {
    const [first] = dead;
    if (first === undefined || busy || !may()) return;
    busy = true;
    void sweep(disk, snapshot, first)
      .catch(note)
      .finally(() => {
        busy = false;
      });
  };
}

/** Deletes what a dead node left behind, its node entry last; stops when it turns out to be back. */
export async function sweep(disk: Disk, { nodes, instances }: Snapshot, dead: string): Promise<void> {
  const boot = nodes.get(dead)?.boot;
  const isBack = async (): Promise<boolean> => bootOf(await disk.read(nodePath(dead))) !== boot;
  for (const [path, { node }] of instances) {
    if (node !== dead) continue;
    // A nerve that comes back in this very moment repairs what goes under its hands.
    if (await isBack()) return;
    await disk.remove(path);
  }
  if (boot !== undefined && !(await isBack())) await disk.remove(nodePath(dead));
}

/** Deletes the temp files of writers that crashed. */
export async function cleanTemps(disk: Disk): Promise<void> {
  const folders = (await disk.folders()) ?? [];
  for (const folder of folders.filter((name) => name === NODES || serviceNameProblem(name) === undefined))
    await disk.clean(folder);
}

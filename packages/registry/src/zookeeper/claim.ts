import { type InstanceRecord, type NodeEntry, StackError } from "@smartstack/core";
import type { Changes, Held } from "../contents.ts";
import { transactionsOf } from "../driver.ts";
import type { Copy } from "../mirror.ts";
import { assertNotTakenOver, fenced } from "../session.ts";
import { presentIn, takeOver, unclaimed, type Write } from "../take-over.ts";
import type { ZooKeeper } from "./client.ts";
import { type Paths, parentOf, pathsOf } from "./paths.ts";
import type { Step } from "./transaction.ts";

export interface Claim {
  readonly prefix: string;
  readonly owner: NodeEntry;
  readonly restore: readonly InstanceRecord[];
  readonly copy: Copy;
  readonly announcedBefore: boolean;
}

/**
 * Makes everything of this node ephemeral on our session: first the marker, which takes the right to write from whoever
 * had it, then the instances, the node entry last. Old and new change places in one transaction. Returns what was written.
 */
export async function claim(zk: ZooKeeper, { prefix, owner, restore, copy, announcedBefore }: Claim): Promise<Changes> {
  const paths = pathsOf(prefix, owner);
  const writes = takeOver(owner, unclaimed(restore, owner, copy), presentIn(copy), zk.sessionId);
  for (const folder of new Set([
    paths.owners,
    parentOf(paths.nodeEntry),
    ...writes.map(({ path }) => parentOf(paths.at(path))),
  ])) {
    await zk.ensure(folder);
  }
  const nodeEntry = await zk.read(paths.nodeEntry);
  assertNotTakenOver(owner, announcedBefore, nodeEntry?.text);
  await takeMarker(zk, paths, owner, announcedBefore);

  const parts = transactionsOf(writes).map((part) => part.flatMap((write) => stepsOf(zk, paths, copy, write)));
  if (nodeEntry?.text !== paths.nodeText || nodeEntry.hold !== zk.sessionId) {
    const last = parts.pop() ?? [];
    parts.push([...last, ...replace(paths.nodeEntry, paths.nodeText, nodeEntry, zk.sessionId)]);
  }
  for (const steps of parts) {
    const refusal = await zk.commit([{ do: "check", path: paths.marker }, ...steps]);
    if (refusal !== undefined) throw changedMeanwhile(owner);
  }
  return new Map<string, Held>(writes.map(({ path, text }) => [path, { text, hold: zk.sessionId }]));
}

async function takeMarker(zk: ZooKeeper, paths: Paths, owner: NodeEntry, announcedBefore: boolean): Promise<void> {
  const own = await zk.exists(paths.marker);
  const names = (await zk.children(paths.owners)) ?? [];
  const others = names.filter((name) => paths.isMarker(name) && `${paths.owners}/${name}` !== paths.marker);
  if (announcedBefore && others.length > 0) throw fenced(owner, undefined);
  const isOurs = own !== undefined && own.hold === zk.sessionId;
  if (isOurs && others.length === 0) return;
  const steps: Step[] = others.map((name) => ({ do: "remove", path: `${paths.owners}/${name}` }));
  if (!isOurs) steps.push(...replace(paths.marker, "", own, zk.sessionId));
  if ((await zk.commit(steps)) !== undefined) throw changedMeanwhile(owner);
}

function stepsOf(zk: ZooKeeper, paths: Paths, copy: Copy, { path, text }: Write): Step[] {
  return replace(paths.at(path), text, copy.contents.get(path), zk.sessionId);
}

/** The steps that leave `text` at a path, on our session. An ephemeral node cannot change its session. */
export function replace(
  path: string,
  text: string,
  present: { readonly hold?: string } | undefined,
  sessionId: string,
): Step[] {
  if (present === undefined) return [{ do: "create", path, text }];
  if (present.hold === sessionId) return [{ do: "set", path, text }];
  return [
    { do: "remove", path },
    { do: "create", path, text },
  ];
}

function changedMeanwhile({ node }: NodeEntry): StackError {
  const message = `entries of ${node} changed while they were taken over`;
  return new StackError("REGISTRY_FAILED", message, { side: "registry", retry: "after-backoff" });
}

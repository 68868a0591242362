import { type InstanceRecord, StackError } from "@smartstack/core";
import type { Held } from "../contents.ts";
import { replace } from "../zookeeper/claim.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import { isForbidden, isMissing } from "../zookeeper/errors.ts";
import { parentOf } from "../zookeeper/paths.ts";
import type { ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";

/** One node of ours. */
export interface OwnNode {
  readonly path: string;
  /** Its path without the number that ZooKeeper put behind it. */
  readonly base: string;
  readonly text: string;
  /** What was last put; it may say more than the text. */
  record: InstanceRecord;
  /** Nobody else has written to it since. */
  readonly intact: boolean;
}

/** One that is to be. */
export type Wanted = Omit<OwnNode, "path" | "intact">;

const MAKE_ATTEMPTS_MAX = 3;
const SEQUENCE = /^\d{10}$/;
const NO_SEQUENCE = /^$/;

/** A node of ours, as it is; one that was closed to us counts as saying what we wrote. */
export async function lookAt(zk: ZooKeeper, { path, text }: OwnNode, watcher?: () => void): Promise<Held | undefined> {
  try {
    return await zk.read(path, watcher);
  } catch (error) {
    if (!isForbidden(error)) throw error;
    const there = await zk.exists(path, watcher);
    return there && { ...there, text };
  }
}

/** Nodes that can only be ours, by name, content and session, and that nobody knows of. */
export async function foundAgain(
  zk: ZooKeeper,
  { base, text }: Wanted,
  { node_type }: ZooKeeperNerveConfig,
  taken: ReadonlySet<string>,
): Promise<string[]> {
  const hold = node_type.startsWith("ephemeral") ? zk.sessionId : undefined;
  const number = node_type.endsWith("_sequential") ? SEQUENCE : NO_SEQUENCE;
  const folder = parentOf(base);
  const paths = ((await zk.children(folder)) ?? []).map((name) => `${folder}/${name}`).sort();
  const found: string[] = [];
  for (const path of paths) {
    if (!path.startsWith(base) || !number.test(path.slice(base.length)) || taken.has(path)) continue;
    const held = await zk.read(path);
    if (held?.text === text && held.hold === hold) found.push(path);
  }
  return found;
}

/** May we delete it? One of a fixed name may be another session's by now, which has announced it after us. */
export async function isOurs(zk: ZooKeeper, path: string, { node_type }: ZooKeeperNerveConfig): Promise<boolean> {
  return node_type !== "ephemeral" || (await zk.exists(path))?.hold === zk.sessionId;
}

/** Makes a node, or takes the place of the one that is there. Returns its path. */
export async function make(zk: ZooKeeper, wanted: Wanted, { node_type }: ZooKeeperNerveConfig): Promise<string> {
  for (let attempt = 0; attempt < MAKE_ATTEMPTS_MAX; attempt++) {
    try {
      const path = await makeOnce(zk, wanted, node_type);
      if (path !== undefined) return path;
    } catch (error) {
      // Its folder was deleted meanwhile.
      if (!isMissing(error)) throw error;
    }
  }
  const message = `${wanted.base} changes under our hands`;
  throw new StackError("REGISTRY_FAILED", message, { side: "registry", retry: "after-backoff" });
}

/** Undefined when somebody else was quicker. */
async function makeOnce(
  zk: ZooKeeper,
  { base, text }: Wanted,
  type: ZooKeeperNerveConfig["node_type"],
): Promise<string | undefined> {
  await zk.ensure(parentOf(base));
  const path = await zk.create(base, text, type);
  if (path !== undefined) return path;
  const present = await zk.exists(base);
  // Another session's would go with that session.
  const steps =
    type === "ephemeral" ? replace(base, text, present, zk.sessionId) : [{ do: "set", path: base, text } as const];
  return (await zk.commit(steps)) === undefined ? base : undefined;
}

/** Absent is fine. */
export async function remove(zk: ZooKeeper, path: string): Promise<void> {
  await zk.commit([{ do: "remove", path }]);
}

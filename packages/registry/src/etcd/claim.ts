import { encodeNodeEntry, type InstanceRecord, isStackError, type NodeEntry, StackError } from "@smartstack/core";
import { CompareResult, CompareTarget, type ICompare, type IRequestOp } from "etcd3";
import { type Changes, type Held, nodePath } from "../contents.ts";
import { transactionsOf } from "../driver.ts";
import type { Copy } from "../mirror.ts";
import { assertNotTakenOver } from "../session.ts";
import { ownedBy, presentIn, takeOver, unclaimed } from "../take-over.ts";
import type { EtcdClient } from "./client.ts";
import { keyOf, list, pathOf } from "./keys.ts";
import type { Lease } from "./lease.ts";

export interface Claim {
  readonly prefix: string;
  readonly owner: NodeEntry;
  readonly restore: readonly InstanceRecord[];
  readonly copy: Copy;
  readonly lease: Lease;
  readonly announcedBefore: boolean;
}

/**
 * Writes everything of this node under its boot and lease, the node entry last, each transaction on the condition that
 * the node entry is still the one found at the beginning. Returns what is ours now.
 */
export async function claim(
  client: EtcdClient,
  { prefix, owner, restore, copy, lease, announcedBefore }: Claim,
): Promise<Changes> {
  const key = keyOf(prefix, nodePath(owner.node));
  const [found] = (await client.range({ key })).kvs;
  const foundText = found?.value.toString();
  assertNotTakenOver(owner, announcedBefore, foundText);
  const before = found === undefined || found.lease === "0" ? undefined : found.lease;
  const present = before === undefined ? presentIn(copy) : await presentWith(client, prefix, copy, before);
  const writes = takeOver(owner, unclaimed(restore, owner, copy), present, lease.id);
  const text = encodeNodeEntry(owner);
  const put = (path: string, value: string): IRequestOp => ({
    request_put: { key: keyOf(prefix, path), value: Buffer.from(value), lease: lease.id },
  });
  const operations = transactionsOf(writes).map((part) => part.map((write) => put(write.path, write.text)));
  if (foundText !== text || found?.lease !== lease.id) {
    const last = operations.pop() ?? [];
    operations.push([...last, put(nodePath(owner.node), text)]);
  }
  const unchanged: ICompare =
    found === undefined
      ? { key, target: CompareTarget.Version, result: CompareResult.Equal, version: 0 }
      : { key, target: CompareTarget.Mod, result: CompareResult.Equal, mod_revision: found.mod_revision };
  for (const success of operations) {
    const { succeeded } = await client.txn({ compare: [unchanged], success });
    if (!succeeded)
      throw new StackError("REGISTRY_FAILED", `the node entry of ${owner.node} changed while it was taken over`, {
        side: "registry",
        retry: "after-backoff",
      });
  }
  // What an earlier run left hangs on our lease now; its own lease would only linger.
  if (before !== undefined && before !== lease.id) await client.revoke(before);
  const kept = present.filter(([, { text, hold }]) => hold === lease.id && ownedBy(owner.node, text) !== undefined);
  return new Map<string, Held>([
    ...kept,
    ...writes.map(({ path, text }): [string, Held] => [path, { text, hold: lease.id }]),
  ]);
}

/** What lies under the prefix: as the copy has it, unless that lacks something that hangs on this lease. */
async function presentWith(
  client: EtcdClient,
  prefix: string,
  copy: Copy,
  lease: string,
): Promise<[path: string, held: Held][]> {
  const keys = await client.keysOn(lease).catch((error: unknown) => {
    // Something of it may not be ours to read.
    if (isStackError(error) && error.code === "REGISTRY_FAILED") return undefined;
    throw error;
  });
  const unseen = keys === undefined || keys.some((key) => copy.contents.get(pathOf(prefix, key))?.hold !== lease);
  return unseen ? [...(await list(client, prefix)).entries] : presentIn(copy);
}

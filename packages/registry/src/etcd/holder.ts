import { encodeNodeEntry, isStackError, type NodeEntry } from "@smartstack/core";
import { CompareResult, CompareTarget, type ICompare, type IRequestOp } from "etcd3";
import { nodePath } from "../contents.ts";
import { transactionsOf } from "../driver.ts";
import { type Holder, refused } from "../session.ts";
import type { EtcdClient } from "./client.ts";
import { keyOf } from "./keys.ts";
import type { Lease } from "./lease.ts";

export interface EtcdHolderOptions {
  readonly client: EtcdClient;
  readonly prefix: string;
  readonly owner: NodeEntry;
  readonly lease: Lease;
  readonly renew: () => Promise<void>;
  /** The server did not answer: the lease may be in danger. */
  readonly doubt: () => void;
  readonly stop: () => void;
  /** The lease is not to be used again. */
  readonly forget: () => void;
}

/** Writes on the lease, each time on the condition that the node entry is ours. */
export function etcdHolder(options: EtcdHolderOptions): Holder {
  const { client, prefix, owner, lease, renew, doubt, stop, forget } = options;
  const nodeKey = keyOf(prefix, nodePath(owner.node));
  const value = Buffer.from(encodeNodeEntry(owner));
  // On our lease, too: one that was put there by hand would outlive us.
  const ours: ICompare[] = [
    { key: nodeKey, target: CompareTarget.Value, result: CompareResult.Equal, value },
    { key: nodeKey, target: CompareTarget.Lease, result: CompareResult.Equal, lease: lease.id },
  ];

  const whileOurs = async (success: IRequestOp[]): Promise<void> => {
    const failure: IRequestOp[] = [{ request_range: { key: nodeKey } }];
    const outcome = await client.txn({ compare: ours, success, failure }).catch((error: unknown) => {
      if (isStackError(error) && error.code === "REGISTRY_UNREACHABLE") doubt();
      throw error;
    });
    if (outcome.succeeded) return;
    throw refused(owner, outcome.responses[0]?.response_range.kvs[0]?.value.toString());
  };
  const erasing = (path: string): IRequestOp => ({ request_delete_range: { key: keyOf(prefix, path) } });

  return {
    hold: lease.id,
    write: (path, text) =>
      whileOurs([{ request_put: { key: keyOf(prefix, path), value: Buffer.from(text), lease: lease.id } }]),
    erase: (path) => whileOurs([erasing(path)]),
    verify: () => whileOurs([]),
    async withdraw(paths) {
      for (const part of transactionsOf(paths.map((path) => ({ path, text: "" }))))
        await whileOurs(part.map(({ path }) => erasing(path)));
      await whileOurs([erasing(nodePath(owner.node))]);
      forget();
      await client.revoke(lease.id);
    },
    renew,
    stop,
  };
}

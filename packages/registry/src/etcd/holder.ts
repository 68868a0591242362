import { encodeNodeEntry, isStackError, type NodeEntry, StackError } from "@smartstack/core";
import { CompareResult, CompareTarget, type ICompare, type IKeyValue, type IRequestOp } from "etcd3";
import { namesAnother } from "../claims.ts";
import { nodePath } from "../contents.ts";
import { transactionsOf } from "../driver.ts";
import { type Holder, refused } from "../session.ts";
import type { EtcdClient } from "./client.ts";
import { keyOf } from "./keys.ts";
import type { Lease } from "./lease.ts";

const ERASE_ATTEMPTS_MAX = 3;

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

  /** What lies at the keys of `otherwise`, when the node entry is ours and `also` did not hold; undefined when all did. */
  const whileOurs = async (
    success: IRequestOp[],
    also: readonly ICompare[] = [],
    otherwise: readonly Buffer[] = [],
  ): Promise<readonly (IKeyValue | undefined)[] | undefined> => {
    const failure = [nodeKey, ...otherwise].map((key): IRequestOp => ({ request_range: { key } }));
    const compare = [...ours, ...also];
    const outcome = await client.txn({ compare, success, failure }).catch((error: unknown) => {
      if (isStackError(error) && error.code === "REGISTRY_UNREACHABLE") doubt();
      throw error;
    });
    if (outcome.succeeded) return undefined;
    const [node, ...found] = outcome.responses.map(({ response_range }) => response_range.kvs[0]);
    const isOurs = node?.value.equals(value) === true && node.lease === lease.id;
    if (!isOurs || also.length === 0) throw refused(owner, node?.value.toString());
    return found;
  };
  const erasing = (path: string): IRequestOp => ({ request_delete_range: { key: keyOf(prefix, path) } });
  const erase = async (path: string): Promise<void> => {
    const key = keyOf(prefix, path);
    let as: ICompare = { key, target: CompareTarget.Lease, result: CompareResult.Equal, lease: lease.id };
    for (let attempt = 0; attempt < ERASE_ATTEMPTS_MAX; attempt++) {
      const found = (await whileOurs([erasing(path)], [as], [key]))?.[0];
      if (found === undefined || namesAnother(owner, found.value.toString())) return;
      // In our name, though not of our making.
      as = { key, target: CompareTarget.Mod, result: CompareResult.Equal, mod_revision: found.mod_revision };
    }
    const message = `${key.toString()} changes under our hands`;
    throw new StackError("REGISTRY_FAILED", message, { side: "registry", retry: "after-backoff" });
  };

  return {
    hold: lease.id,
    async write(path, text) {
      await whileOurs([{ request_put: { key: keyOf(prefix, path), value: Buffer.from(text), lease: lease.id } }]);
    },
    erase,
    async verify() {
      await whileOurs([]);
    },
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

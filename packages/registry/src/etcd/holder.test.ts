import { encodeInstance, encodeNodeEntry, type NodeEntry, StackError } from "@smartstack/core";
import { CompareTarget, type ICompare } from "etcd3";
import { expect, it } from "vitest";
import { unreachable } from "../session.ts";
import type { EtcdClient } from "./client.ts";
import { etcdHolder } from "./holder.ts";

const owner: NodeEntry = { node: "n", boot: "b", since: 1, host: "h" };

const NAMES = { [CompareTarget.Value]: "value", [CompareTarget.Lease]: "lease", [CompareTarget.Mod]: "mod" };

/** A holder over a server that has no transaction come true, and tells what lies there instead. */
function holderOver(found: readonly (string | undefined)[], node = encodeNodeEntry(owner)) {
  const conditions: string[] = [];
  const kv = (text: string | undefined) => ({
    response_range: { kvs: text === undefined ? [] : [{ value: Buffer.from(text), lease: "1", mod_revision: "5" }] },
  });
  const left = [...found];
  const txn = async ({ compare }: { readonly compare: readonly ICompare[] }) => {
    conditions.push(compare.map(({ target }) => NAMES[target as keyof typeof NAMES]).join());
    if (left.length === 0) return { succeeded: true, responses: [] };
    return { succeeded: false, responses: [kv(node), kv(left.shift())] };
  };
  const nothing = () => undefined;
  const holder = etcdHolder({
    ...{ client: { txn } as unknown as EtcdClient, prefix: "/p", owner, lease: { id: "1", ttlMs: 3_000 } },
    ...{ renew: async () => undefined, doubt: nothing, stop: nothing, forget: nothing },
  });
  return { holder, conditions };
}

it("erases what hangs on its lease, and asks what it is when it hangs elsewhere", async () => {
  const theirs = encodeInstance({ host: "h", port: 1, node: "other", boot: "x" });
  const inOurName = encodeInstance({ host: "h", port: 1, node: "n", boot: "b" });
  const attempts = async (...found: (string | undefined)[]): Promise<number> => {
    const { holder, conditions } = holderOver(found);
    await holder.erase("web/a");
    return conditions.length;
  };
  expect(await attempts()).toBe(1);
  expect(await attempts(undefined)).toBe(1);
  expect(await attempts(theirs)).toBe(1);
  expect(await attempts(inOurName)).toBe(2);
  expect(await attempts("nobody can read this")).toBe(2);
  expect(await attempts(inOurName, theirs)).toBe(2);
  await expect(attempts(inOurName, inOurName, inOurName)).rejects.toMatchObject({ code: "REGISTRY_FAILED" });
});

it("never erases without a condition on the key itself, and nothing for a node that was taken over", async () => {
  const ours = encodeInstance({ host: "h", port: 1, node: "n", boot: "b" });
  const { holder, conditions } = holderOver([ours]);
  await holder.erase("web/a");
  expect(conditions).toEqual(["value,lease,lease", "value,lease,mod"]);
  const taken = holderOver([ours], encodeNodeEntry({ ...owner, boot: "later" }));
  await expect(taken.holder.erase("web/a")).rejects.toMatchObject({ code: "REGISTRY_FENCED" });
});

it("doubts its lease as soon as a call is not answered, and not when it is refused", async () => {
  const outcomes = [
    new StackError("REGISTRY_FAILED", "permission denied", { side: "config", retry: "after-backoff" }),
    unreachable("etcd txn", new Error("DEADLINE_EXCEEDED")),
  ];
  const txn = () => Promise.reject(outcomes.shift());
  let doubts = 0;
  const holder = etcdHolder({
    client: { txn } as unknown as EtcdClient,
    prefix: "/p",
    owner,
    lease: { id: "1", ttlMs: 3_000 },
    renew: async () => undefined,
    doubt: () => void doubts++,
    stop: () => undefined,
    forget: () => undefined,
  });
  await expect(holder.write("web/a", "{}")).rejects.toMatchObject({ code: "REGISTRY_FAILED" });
  expect(doubts).toBe(0);
  await expect(holder.verify()).rejects.toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  expect(doubts).toBe(1);
});

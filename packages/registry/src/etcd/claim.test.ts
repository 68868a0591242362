import { encodeInstance, encodeNodeEntry, type NodeEntry } from "@smartstack/core";
import { expect, it } from "vitest";
import { contents, type Held } from "../contents.ts";
import type { Copy } from "../mirror.ts";
import { claim } from "./claim.ts";
import type { EtcdClient } from "./client.ts";

const owner: NodeEntry = { node: "n", boot: "new", since: 1, host: "h" };
const nodeText = encodeNodeEntry({ ...owner, boot: "old" });
const left = (port: number): Held => ({
  text: encodeInstance({ host: "h", port, node: "n", boot: "old" }),
  hold: "1",
});

/** Takes over from a run on lease 1, by a copy that knows `seen` of what lies there. */
async function takeOverFrom(there: ReadonlyMap<string, Held>, seen: readonly string[], id = "2", boot = "new") {
  const calls: string[] = [];
  const kvs = [...there].map(([path, { text, hold }]) => ({
    ...{ key: Buffer.from(`/p/${path}`), value: Buffer.from(text), lease: hold, mod_revision: "5" },
  }));
  const client = {
    range: async ({ range_end }: { range_end?: Buffer }) => {
      calls.push(range_end === undefined ? "get" : "list");
      return { kvs: range_end === undefined ? kvs.slice(0, 1) : kvs, header: { revision: "9" }, more: false };
    },
    keysOn: async () => kvs.map(({ key }) => key),
    txn: async () => ({ succeeded: true }),
    revoke: async (lease: string) => void calls.push(`revoke ${lease}`),
  } as unknown as EtcdClient;
  const known = contents(() => undefined);
  known.apply(new Map([...there].filter(([path]) => seen.includes(path))));
  const copy: Copy = { contents: known, subscribe: () => () => undefined };
  const lease = { id, ttlMs: 3_000 };
  const by = { ...owner, boot };
  const written = await claim(client, { prefix: "/p", owner: by, restore: [], copy, lease, announcedBefore: false });
  return { calls, written: [...written.keys()].sort() };
}

const there = new Map<string, Held>([
  [".nodes/n", { text: nodeText, hold: "1" }],
  ["web/a", left(1)],
  ["web/b", left(2)],
]);

it("takes over by what it has read already", async () => {
  const { calls, written } = await takeOverFrom(there, [...there.keys()]);
  expect(calls).toEqual(["get", "revoke 1"]);
  expect(written).toEqual(["web/a", "web/b"]);
});

it("reads again when an earlier run has more than was seen: that would end with its lease", async () => {
  const { calls, written } = await takeOverFrom(there, [".nodes/n", "web/a"]);
  expect(calls).toEqual(["get", "list", "revoke 1"]);
  expect(written).toEqual(["web/a", "web/b"]);
});

it("knows what it left on its own lease, though the watch has not shown it yet", async () => {
  const { calls, written } = await takeOverFrom(there, [".nodes/n", "web/a"], "1", "old");
  expect(calls).toEqual(["get", "list"]);
  expect(written).toEqual(["web/a", "web/b"]);
});

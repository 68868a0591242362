import { StackError } from "@smartstack/core";
import { expect, it } from "vitest";
import { unreachable } from "../session.ts";
import type { EtcdClient } from "./client.ts";
import { etcdHolder } from "./holder.ts";

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
    owner: { node: "n", boot: "b", since: 1, host: "h" },
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

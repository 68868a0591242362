import { describe, expect, it } from "vitest";
import type { Held } from "../contents.ts";
import type { ZooKeeper } from "./client.ts";
import { zooKeeperSource } from "./source.ts";

/** A tree of so many services of so many instances each, that answers in the next turn of the loop. */
function tree(services: number, instances: number): { readonly zk: ZooKeeper; readonly busiest: () => number } {
  let busy = 0;
  let busiest = 0;
  const answer = async <T>(value: T): Promise<T> => {
    busiest = Math.max(busiest, ++busy);
    await new Promise((resolve) => setImmediate(resolve));
    busy--;
    return value;
  };
  const names = (prefix: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const zk: Partial<ZooKeeper> = {
    children: (path) => answer(path === "/x" ? names("s", services) : names("i", instances)),
    read: (path) => answer({ text: path }),
    closed: new AbortController().signal,
    onBeat: () => undefined,
    end: async () => undefined,
  };
  return { zk: zk as ZooKeeper, busiest: () => busiest };
}

async function load(zk: ZooKeeper): Promise<ReadonlyMap<string, Held>> {
  const stop = new AbortController();
  return new Promise((resolve, reject) => {
    const reset = (all: ReadonlyMap<string, Held>): void => {
      stop.abort();
      resolve(all);
    };
    zooKeeperSource(
      async () => zk,
      "/x",
      () => undefined,
    )({ reset, apply: () => undefined }, stop.signal).catch(reject);
  });
}

describe("zooKeeperSource", () => {
  it("keeps a bounded number of reads on their way, however much there is to read", async () => {
    const { zk, busiest } = tree(1_000, 10);
    expect((await load(zk)).size).toBe(10_000);
    expect(busiest()).toBeLessThanOrEqual(256);
  });

  it("reports nothing before all is read", async () => {
    const { zk } = tree(20, 3_000);
    expect((await load(zk)).size).toBe(60_000);
  });
});

import { until } from "@smartstack/core/testing";
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

  it("takes an answer for a proof only while nothing is unread, and what was read for one itself", async () => {
    const { zk } = tree(1, 1);
    let beat: (zxid: number) => void = () => undefined;
    let touch: (() => void) | undefined;
    let answer: () => void = () => undefined;
    const read: ZooKeeper["read"] = (path, watcher) => {
      const slow = touch !== undefined && path.endsWith("/s0/i0");
      touch ??= watcher;
      return slow
        ? new Promise((resolve) => {
            answer = () => resolve({ text: "news" });
          })
        : Promise.resolve({ text: path });
    };
    const proofs: (number | undefined)[] = [];
    const seen: string[] = [];
    const stop = new AbortController();
    const source = zooKeeperSource(
      async () => ({ ...zk, read, onBeat: (listener) => (beat = listener) }) as ZooKeeper,
      "/x",
      (zxid) => proofs.push(zxid),
      () => undefined,
    );
    const sink: Parameters<typeof source>[0] = {
      reset: (all) => seen.push(...all.keys()),
      apply: (changes) => seen.push(...[...changes.values()].map((held) => held?.text ?? "")),
    };
    const ended = source(sink, stop.signal);
    await until(() => seen.length === 1, { what: "read" });
    await new Promise((resolve) => setImmediate(resolve));
    beat(1);
    expect(proofs).toEqual([1]);
    touch?.();
    beat(2);
    await new Promise((resolve) => setImmediate(resolve));
    beat(3);
    expect(proofs).toEqual([1]);
    answer();
    await until(() => seen.includes("news"), { what: "read again" });
    expect(proofs).toEqual([1, undefined]);
    stop.abort();
    await ended;
  });
});

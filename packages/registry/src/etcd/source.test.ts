import { EventEmitter } from "node:events";
import { fakeClock } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import type { EtcdClient } from "./client.ts";
import { etcdSource } from "./source.ts";

const header = (revision: number) => ({ header: { revision: String(revision) } });

/**
 * An etcd of 2025 or later: it tells no progress to a watch that begins after the present revision (etcd-io/etcd#20229).
 * Its reads see `present()`, its watch is `behind()` that.
 */
function fakeEtcd(present: () => number, behind: () => number) {
  let start = 0;
  const stream = Object.assign(new EventEmitter(), {
    cancel: () => undefined,
    write(request: { create_request?: { start_revision: string }; progress_request?: unknown }) {
      if (request.create_request !== undefined) {
        start = Number(request.create_request.start_revision);
        stream.emit("data", { ...header(present()), created: true, events: [] });
      } else if (start <= present()) {
        stream.emit("data", { ...header(present() - behind()), created: false, events: [] });
      }
    },
  });
  const client = {
    host: "h:1",
    range: async () => ({ ...header(present()), kvs: [], more: false }),
    watch: async () => stream,
    close: () => undefined,
  } as unknown as EtcdClient;
  return { client, stream };
}

async function watching(present: () => number, behind: () => number) {
  const clock = fakeClock();
  const proofs: string[] = [];
  const stop = new AbortController();
  const { client, stream } = fakeEtcd(present, behind);
  let ended: unknown;
  let resets = 0;
  const source = etcdSource({
    servers: { connect: async () => client, blame: () => undefined },
    prefix: "/p",
    clock,
    onProof: (revision) => proofs.push(revision),
  });
  const changes: unknown[] = [];
  const sink = { reset: () => void resets++, apply: (change: unknown) => void changes.push(change) };
  source(sink, stop.signal).catch((error: unknown) => {
    ended = error;
  });
  await clock.advance(0);
  return { clock, proofs, stream, changes, ended: () => ended, resets: () => resets, stop: () => stop.abort() };
}

it("proves nothing by what a read shows while the watch is behind it, and all once it has caught up", async () => {
  let present = 10;
  let behind = 0;
  const { clock, proofs, stream, stop, ended } = await watching(
    () => present,
    () => behind,
  );
  await clock.advance(2_000);
  expect(proofs.at(-1)).toBe("10");
  present = 20;
  behind = 5;
  const events = [
    { type: "Put", kv: { key: Buffer.from("/p/web/a"), value: Buffer.from("{}"), mod_revision: "12", lease: "0" } },
  ];
  await clock.advance(2_000);
  const before = proofs.length;
  stream.emit("data", { ...header(20), created: false, events });
  await clock.advance(6_000);
  expect(proofs, "signs of life are no proof").toHaveLength(before);
  behind = 0;
  await clock.advance(2_000);
  expect(proofs.at(-1)).toBe("20");
  expect(ended()).toBeUndefined();
  stop();
});

it("watches a quiet prefix on, whatever its server tells of the progress of a watch that begins in the future", async () => {
  const { clock, proofs, resets, stop, ended } = await watching(
    () => 10,
    () => 0,
  );
  await clock.advance(60_000);
  expect(ended()).toBeUndefined();
  expect(resets()).toBe(1);
  expect(proofs.length).toBeGreaterThan(20);
  stop();
});

it("passes on what came after the list, and not what was listed", async () => {
  const { stream, changes, stop } = await watching(
    () => 10,
    () => 0,
  );
  const put = (revision: string) => ({
    type: "Put",
    kv: { key: Buffer.from(`/p/web/at-${revision}`), value: Buffer.from("{}"), mod_revision: revision, lease: "0" },
  });
  stream.emit("data", { ...header(12), created: false, events: ["10", "11", "12"].map(put) });
  expect(changes).toEqual([new Map([["web/at-11", { text: "{}" }]]), new Map([["web/at-12", { text: "{}" }]])]);
  stop();
});

it("takes a revision that goes back for another history, though its connection lives", async () => {
  let present = 10;
  const { clock, ended } = await watching(
    () => present,
    () => 0,
  );
  await clock.advance(4_000);
  expect(ended()).toBeUndefined();
  present = 9;
  await clock.advance(2_000);
  expect(ended()).toMatchObject({ code: "REGISTRY_WATCH_LOST", message: expect.stringContaining("from 10 to 9") });
});

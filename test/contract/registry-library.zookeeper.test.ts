import { strict as assert } from "node:assert";
import { eventBus, isStackError, lossOf, type Registry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openZooKeeper, type ZooKeeper } from "../../packages/registry/src/zookeeper/client.ts";
import type { Resume } from "../../packages/registry/src/zookeeper/connection.ts";
import type { TestServer } from "../support/etcd.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { timed } from "../support/pauses.ts";
import { startZooKeeper, TICK_MS, zookeeperOwners, zookeeperWrite } from "../support/zookeeper.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { announcer, follow } from "./registry-follower.ts";

type ZooKeeperConfig = Extract<RegistryConfig, { readonly type: "zookeeper" }>;

// What node-zookeeper-client 1.1.3 does wrong, each held off. A fault proxy plays the network.

const TTL_MS = 4_000;
let server: TestServer;
let cases = 0;

beforeAll(async () => {
  server = await startZooKeeper();
});

afterAll(() => server?.stop());

interface Stage {
  readonly prefix: string;
  readonly proxy: FaultProxy;
  defer(cleanup: () => Promise<unknown> | unknown): void;
  /** Through the proxy. */
  open(options?: { readonly resume?: Resume; readonly signal?: AbortSignal }): Promise<ZooKeeper>;
  /** Through the proxy unless other hosts are given; the first of them is tried first. */
  registry(more?: Partial<ZooKeeperConfig>): Promise<Registry>;
}

async function stage(finished: (cleanup: () => Promise<void>) => void): Promise<Stage> {
  const proxy = await startFaultProxy(server.endpoint);
  const prefix = `/library${cases++}`;
  const cleanups: (() => Promise<unknown> | unknown)[] = [() => proxy.close()];
  finished(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });
  const defer = (cleanup: () => Promise<unknown> | unknown): void => void cleanups.push(cleanup);
  return {
    prefix,
    proxy,
    defer,
    async open({ resume, signal = NEVER } = {}) {
      const deps = { clock: systemClock, signal, access: "open" } as const;
      const zk = await openZooKeeper({ host: proxy.endpoint, sessionMs: TTL_MS, resume, ...deps });
      defer(() => zk.end());
      return zk;
    },
    async registry(more = {}) {
      const deps = { clock: systemClock, random: () => 0, events: eventBus() };
      const config: ZooKeeperConfig = { type: "zookeeper", hosts: [proxy.endpoint], prefix, ttl: TTL_MS, ...more };
      const registry = await openRegistry(config, deps);
      defer(() => registry.close());
      return registry;
    },
  };
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isStackError(error) && error.code === code;
}

/** Ends a session as its own client would, past the connection that holds it. */
async function endElsewhere({ resume }: ZooKeeper): Promise<void> {
  const options = { host: server.endpoint, sessionMs: TTL_MS, resume, access: "open" } as const;
  await (await openZooKeeper({ ...options, clock: systemClock, signal: NEVER })).end();
}

describe.concurrent("node-zookeeper-client", () => {
  it("reads for ever from a peer that vanished: the connection ends by our heartbeat, and the read with it", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    const zk = await at.open();
    proxy.stall();
    const heldMs = await timed(async () => {
      await assert.rejects(zk.read("/"), hasCode("REGISTRY_UNREACHABLE"));
      await until(() => zk.closed.aborted, { what: "the heartbeat notices" });
    });
    assert.ok(heldMs < TTL_MS, "later than the server could have ended the session");
  });

  it("never declares a session over by itself: ours counts as lost before the server ends it", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    const session = await (await at.registry()).announce(owner("node-a", "b1"), records("web", 2), NEVER);
    proxy.stall();
    const heldMs = await timed(() => until(() => session.lost.aborted, { what: "lost" }));
    assert.ok(heldMs < TTL_MS, "later than the server could have ended it");
    await assert.rejects(session.put(record("web", "x", 1)), hasCode("REGISTRY_SESSION_LOST"));
  });

  it("never comes back from an expired session: a new client makes all entries again and watches them", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy, prefix } = at;
    const follower = follow(await at.registry(), "web");
    const nerve = announcer(await at.registry(), owner("node-a", "b1"), () => records("web", 5));
    at.defer(() => nerve.stop("withdraw"));
    at.defer(() => follower.stop());
    await until(() => follower.names().length === 5, { what: "announced" });
    const before = await zookeeperOwners(server.endpoint, `${prefix}/web`);
    proxy.stall();
    await until(async () => (await zookeeperOwners(server.endpoint, `${prefix}/web`)).size === 0, {
      what: "the server ends the session",
    });
    proxy.heal();
    await until(async () => (await zookeeperOwners(server.endpoint, `${prefix}/web`)).size === 5, { what: "back" });
    const after = await zookeeperOwners(server.endpoint, `${prefix}/web`);
    expect(new Set(after.values()).size).toBe(1);
    expect([...after.values()][0]).not.toBe([...before.values()][0]);
    await until(() => nerve.session()?.lost.aborted === false, { what: "a session again" });
    await nerve.session()?.put(record("web", "later", 9_000));
    await until(() => follower.names().includes("later"), { what: "watched again" });
  });

  it("a session that ended is told as ended, on its connection and to who resumes it", async ({ onTestFinished }) => {
    const at = await stage(onTestFinished);
    const zk = await at.open();
    await endElsewhere(zk);
    await until(() => zk.closed.aborted, { what: "the old connection ends" });
    await assert.rejects(at.open({ resume: zk.resume }), hasCode("REGISTRY_SESSION_LOST"));
  });

  it("forgets the calls it queued when a connection ends: every one of ours is answered", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    const zk = await at.open();
    proxy.stall();
    // More than the sockets on the way take: the library keeps what it could not send.
    const text = "x".repeat(1_000_000);
    const outcomes = Array.from({ length: 20 }, (_, id) => zk.commit([{ do: "create", path: `/${id}`, text }]));
    const settledMs = timed(() => Promise.allSettled(outcomes));
    proxy.cut();
    const settled = await Promise.allSettled(outcomes);
    assert.ok(settled.every(({ status }) => status === "rejected"));
    assert.ok((await settledMs) < 1_500, "answered by their deadlines, not by the end of the connection");
    await assert.rejects(zk.read("/"), hasCode("REGISTRY_UNREACHABLE"));
  });

  it("takes half a message for the beginning of the next connection's: a resumed session is not called expired", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy, prefix } = at;
    const zk = await at.open();
    const path = `${prefix}/mine`;
    await zk.ensure(prefix);
    await zk.commit([{ do: "create", path, text: "x".repeat(10_000) }]);
    proxy.cutAfter(5_000);
    await assert.rejects(zk.read(path), hasCode("REGISTRY_UNREACHABLE"));
    const again = await at.open({ resume: zk.resume });
    assert.equal(again.sessionId, zk.sessionId);
    assert.equal((await again.read(path))?.hold, zk.sessionId);
  });

  it("cannot tell its own ephemeral node from a ghost's: a new run takes a ghost's entries over before they vanish", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy, prefix } = at;
    const ghost = await (await at.registry()).announce(owner("node-a", "b1"), records("web", 3), NEVER);
    const ghosts = await zookeeperOwners(server.endpoint, `${prefix}/web`);
    proxy.stall();
    const registry = await at.registry({ hosts: [server.endpoint] });
    const follower = follow(registry, "web");
    at.defer(() => follower.stop());
    const session = await registry.announce(owner("node-a", "b2"), records("web", 3), NEVER);
    await until(() => ghost.lost.aborted, { what: "the ghost is lost" });
    // No condition says that a session has expired: its time is over.
    await new Promise((resolve) => setTimeout(resolve, TTL_MS + 2 * TICK_MS));
    const now = await zookeeperOwners(server.endpoint, `${prefix}/web`);
    assert.equal(now.size, 3);
    assert.ok([...now].every(([name, hold]) => hold !== ghosts.get(name)));
    assert.ok(!session.lost.aborted);
    assert.deepEqual(follower.names(), ["web-0", "web-1", "web-2"]);
  });

  it("a write whose answer got lost was done or not: the entry is there once, as wanted", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy, prefix } = at;
    const wanted = records("web", 1);
    const nerve = announcer(await at.registry(), owner("node-a", "b1"), () => wanted);
    at.defer(() => nerve.stop("withdraw"));
    await until(() => nerve.session() !== undefined, { what: "announced" });
    const [first] = nerve.sessions;
    wanted.push(record("web", "late", 9_000));
    proxy.cutAfter(0);
    await assert.rejects(first?.put(record("web", "late", 9_000)) ?? assert.fail());
    await until(() => nerve.sessions.length > 1, { what: "announced again" });
    const owners = await zookeeperOwners(server.endpoint, `${prefix}/web`);
    assert.deepEqual([...owners.keys()].sort(), ["late", "web-0"]);
    assert.equal(new Set(owners.values()).size, 1, "on one session, the same as before");
  });

  it("waits for ever for a server that accepts and says nothing: the next one is tried in time", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    proxy.stall();
    const openingMs = await timed(() => assert.rejects(at.open(), hasCode("REGISTRY_UNREACHABLE")));
    assert.ok(openingMs < 3_500);
    const follower = follow(await at.registry({ hosts: [proxy.endpoint, server.endpoint] }), "web");
    at.defer(() => follower.stop());
    await until(() => follower.batches.length > 0, { what: "read from the second server" });
  });

  it("throws when it is closed before it has a socket: closing works at any time", async ({ onTestFinished }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    proxy.stall();
    for (const waitMs of [0, 1, 20, 200]) {
      const registry = await at.registry();
      const announcing = registry.announce(owner("node-a", "b1"), [], NEVER);
      announcing.catch(() => undefined);
      const watching = registry.watch("web", NEVER)[Symbol.asyncIterator]().next();
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const closingMs = await timed(async () => {
        await registry.close();
        await registry.close();
      });
      assert.ok(closingMs < 2_000);
      await assert.rejects(watching);
    }
    proxy.heal();
    const taken = proxy.taken();
    const stop = new AbortController();
    const opening = at.open({ signal: stop.signal });
    stop.abort();
    await assert.rejects(opening, hasCode("CLOSED"));
    await at.open();
    assert.equal(proxy.taken(), taken + 1, "a socket was made that nobody wants");
  });

  it("calls a watcher once, and on its own end: every change is seen, and none after a close", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const watching = await at.registry();
    const follower = follow(watching, "web");
    const session = await (await at.registry()).announce(owner("node-a", "b1"), [record("web", "one", 1)], NEVER);
    for (let port = 2; port <= 20; port++) {
      await session.put(record("web", "one", port));
      await until(() => follower.state().instances.get("one")?.port === port, { what: `change ${port}` });
    }
    await follower.stop();
    const seen = follower.batches.length;
    await watching.close();
    await session.put(record("web", "two", 2));
    assert.equal(follower.batches.length, seen);
    assert.equal(follower.names().join(), "one");
  });

  it("comes again without a pause: we do not", async ({ onTestFinished }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    proxy.cut();
    const registry = await at.registry();
    const follower = follow(registry, "web");
    at.defer(() => follower.stop());
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    // 50–100 ms, doubling to 1–2 s.
    assert.ok(proxy.taken() >= 2 && proxy.taken() <= 8, `${proxy.taken()} connections in 2 s`);
    assert.equal(registry.status().connected, false);
    proxy.heal();
    await until(() => follower.batches.length > 0, { what: "works when the server does" });
  });

  it("gives up on an answer it does not know: that ends the connection, not the process", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    const zk = await at.open();
    const session = await (await at.registry()).announce(owner("node-a", "b1"), [], NEVER);
    proxy.inject(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await until(() => zk.closed.aborted && session.lost.aborted, { what: "both connections end" });
    assert.equal(lossOf(session).code, "REGISTRY_SESSION_LOST");
  });

  it("copies the rest of a packet for each of its messages: events by the thousand do not cost the connection", async ({
    onTestFinished,
  }) => {
    const at = await stage(onTestFinished);
    const { proxy } = at;
    const all = records("web", 1_500);
    const session = await (await at.registry({ hosts: [server.endpoint] })).announce(owner("node-a", "b1"), all, NEVER);
    // A session as long as this beats rarely enough for a stall of a second and more.
    const follower = follow(await at.registry({ ttl: 20_000 }), "web");
    at.defer(() => follower.stop());
    await until(() => follower.names().length === all.length, { what: "read" });
    proxy.stall();
    await session.close("withdraw");
    proxy.heal();
    await until(() => follower.names().length === 0, { what: "all gone" });
    assert.equal(follower.resets(), 1, "on the connection it had");
  });

  it("knows no access: user and password go first, on every connection", async ({ onTestFinished }) => {
    const at = await stage(onTestFinished);
    const { proxy, prefix } = at;
    const auth = { username: "smartstack", password: "secret" };
    const registry = await at.registry({ auth, access: "private" });
    const follower = follow(registry, "web");
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 3));
    at.defer(() => nerve.stop("withdraw"));
    at.defer(() => follower.stop());
    await until(() => follower.names().length === 3, { what: "announced" });
    for (let round = 1; round <= 3; round++) {
      const [resets, sessions] = [follower.resets(), nerve.sessions.length];
      proxy.cut();
      proxy.heal();
      await until(() => follower.resets() > resets && nerve.sessions.length > sessions, { what: `round ${round}` });
      assert.equal(follower.names().length, 3);
    }
    await assert.rejects(zookeeperWrite(server.endpoint, `${prefix}/web/foreign`, "x"), /NO_AUTH/);
  });
});

import { strict as assert } from "node:assert";
import { describeError, eventBus, type Registry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { readAccess } from "../../packages/registry/src/etcd/access.ts";
import { type EtcdClient, etcdClient } from "../../packages/registry/src/etcd/client.ts";
import { list } from "../../packages/registry/src/etcd/keys.ts";
import type { Servers } from "../../packages/registry/src/etcd/servers.ts";
import { etcdSource } from "../../packages/registry/src/etcd/source.ts";
import { etcdctl, etcdEntries, etcdRevision, etcdWrite, startEtcd, type TestServer } from "../support/etcd.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { timed } from "../support/pauses.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { announcer, follow } from "./registry-follower.ts";

// What etcd3 does wrong when it is left to itself, each held off by our driver.

const opened: Registry[] = [];
let server: TestServer;
let proxy: FaultProxy;

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server?.stop());
afterEach(async () => {
  await Promise.all(opened.splice(0).map((registry) => registry.close()));
  await proxy?.close();
});

async function open(prefix: string, ttl = 3_000, endpoint = server.endpoint): Promise<Registry> {
  const deps = { clock: systemClock, random: () => 0, events: eventBus() };
  const registry = await openRegistry({ type: "etcd", hosts: [endpoint], prefix, ttl }, deps);
  opened.push(registry);
  return registry;
}

async function client(endpoint = server.endpoint): Promise<EtcdClient> {
  return etcdClient(endpoint, await readAccess({}), systemClock);
}

function serversOf(connect: () => Promise<EtcdClient>): Servers {
  return { connect, blame: () => undefined };
}

const leases = async (): Promise<string[]> =>
  (await etcdctl(server.endpoint, ["lease", "list"])).split("\n").filter((line) => /^[0-9a-f]{10,}$/.test(line.trim()));

describe("a silent server", () => {
  it("costs the session in under 5 s, not in two ttls, and a write no more than 3 s", async () => {
    proxy = await startFaultProxy(server.endpoint);
    const registry = await open("/silent", 10_000, proxy.endpoint);
    const session = await registry.announce(owner("node-a", "b1"), records("web", 2), NEVER);
    proxy.stall();
    const write = timed(() => assert.rejects(session.put(record("web", "late", 1)), "a write to nobody"));
    const noticed = (): boolean => session.lost.aborted && !registry.status().connected;
    expect(await timed(() => until(noticed, { what: "noticed" }))).toBeLessThan(5_000);
    expect(await write).toBeLessThan(3_500);
  });

  it("is not asked again and again, and is used within 3 s of its return", async () => {
    proxy = await startFaultProxy(server.endpoint);
    const registry = await open("/away", 3_000, proxy.endpoint);
    const follower = follow(registry, "web");
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 2));
    await until(() => follower.names().length === 2, { what: "announced" });
    proxy.cut();
    const before = proxy.taken();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    // Watch and session each come again after 0.1 s, 0.2 s … 2 s; the library alone came ten times a second.
    expect(proxy.taken() - before).toBeLessThan(30);
    const resets = follower.resets();
    proxy.heal();
    const back = (): boolean => follower.resets() > resets && nerve.session()?.lost.aborted === false;
    expect(await timed(() => until(back, { what: "back" }))).toBeLessThan(3_000);
    await nerve.stop("withdraw");
    await follower.stop();
  });

  it("is called by its own error each time, never by that of an open circuit", async () => {
    proxy = await startFaultProxy(server.endpoint);
    proxy.cut();
    const registry = await open("/circuit", 3_000, proxy.endpoint);
    for (let attempt = 0; attempt < 6; attempt++) {
      const error = await registry.announce(owner("node-a", "b1"), [], NEVER).then(
        () => assert.fail("announced to nobody"),
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: "REGISTRY_UNREACHABLE", retry: "after-backoff" });
      expect(describeError(error)).not.toMatch(/circuit|breaker/i);
    }
  });
});

describe("a lease", () => {
  it("is kept by its id over a restart of the server: same keys, nothing written, no second lease", async () => {
    const others = new Set(await leases());
    const ours = async (): Promise<string[]> => (await leases()).filter((id) => !others.has(id));
    const registry = await open("/kept", 10_000);
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 3));
    const session = await until(() => nerve.session(), { what: "announced" });
    const before = await etcdEntries(server.endpoint, "/kept/");
    await server.restart();
    await until(() => nerve.session() !== session, { what: "announced again" });
    expect(await etcdEntries(server.endpoint, "/kept/")).toEqual(before);
    expect(await ours()).toHaveLength(1);
    await nerve.stop("withdraw");
    expect(await ours()).toHaveLength(0);
  });

  it("holds the node entry, too, when somebody put that there by hand", async () => {
    const registry = await open("/byhand");
    const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 1));
    await until(() => nerve.session(), { what: "announced" });
    const key = "/byhand/.nodes/node-a";
    const { value } = (await etcdEntries(server.endpoint, key)).get(key) ?? assert.fail();
    await etcdWrite(server.endpoint, key, value);
    await until(async () => (await etcdEntries(server.endpoint, key)).get(key)?.lease !== "0", {
      what: "on our lease again",
    });
    await nerve.stop("withdraw");
  });
});

describe("a watch", () => {
  it("begins anew when what it would begin from was compacted meanwhile", async () => {
    await etcdWrite(server.endpoint, "/compacted/web/a", "{}");
    let attempts = 0;
    const source = etcdSource({
      prefix: "/compacted",
      clock: systemClock,
      onProof: () => undefined,
      servers: serversOf(async () => {
        const real = await client();
        if (attempts++ > 0) return real;
        const watch = async (): ReturnType<EtcdClient["watch"]> => {
          for (const value of ["1", "2", "3"]) await etcdWrite(server.endpoint, "/compacted/web/a", value);
          await etcdctl(server.endpoint, ["compact", String(await etcdRevision(server.endpoint))]);
          return real.watch();
        };
        return { ...real, watch };
      }),
    });
    const seen: (string | undefined)[] = [];
    const sink = {
      reset: (all: ReadonlyMap<string, { text: string }>) => void seen.push(all.get("web/a")?.text),
      apply: () => undefined,
    };
    await expect(source(sink, NEVER)).rejects.toThrow(/compacted/);
    const stop = new AbortController();
    const again = source(sink, stop.signal);
    await until(() => seen.includes("3"), { what: "the truth after the compaction" });
    stop.abort();
    await again;
  });

  it("is not taken for another history's when it is ahead of an older answer", async () => {
    let probes = 0;
    let seen = 0;
    const stop = new AbortController();
    const source = etcdSource({
      prefix: "/ahead",
      clock: systemClock,
      onProof: () => undefined,
      servers: serversOf(async () => {
        const real = await client();
        const range: EtcdClient["range"] = async (request, msMax) => {
          const answer = await real.range(request, msMax);
          if (request.limit !== 1) return answer;
          // The answer is on its way while the watch already brings what came after it.
          const before = seen;
          await etcdWrite(server.endpoint, "/ahead/web/a", String(probes));
          await until(() => seen > before, { what: "the watch is ahead" });
          probes++;
          return answer;
        };
        return { ...real, range };
      }),
    });
    const running = source({ reset: () => undefined, apply: () => void seen++ }, stop.signal);
    await Promise.race([until(() => probes > 0, { what: "a probe" }), running]);
    await etcdWrite(server.endpoint, "/ahead/web/a", "still watched");
    await Promise.race([until(() => seen > 1, { what: "still watched" }), running]);
    stop.abort();
    await running;
  });

  it("takes one answer of more than 4 MiB: a lease with 20,000 long keys ends", async () => {
    const granted = await etcdctl(server.endpoint, ["lease", "grant", "600"]);
    const lease = /lease ([0-9a-f]+) granted/.exec(granted)?.[1] ?? assert.fail(granted);
    const own = await client();
    const name = (index: number): string => `/long/web/${"x".repeat(120)}${String(index).padStart(6, "0")}`;
    const id = BigInt(`0x${lease}`).toString();
    for (let from = 0; from < 20_000; from += 100) {
      const puts = Array.from({ length: 100 }, (_, index) => ({
        request_put: { key: Buffer.from(name(from + index)), value: Buffer.from("{}"), lease: id },
      }));
      await own.txn({ success: puts });
    }
    own.close();
    let gone = 0;
    const stop = new AbortController();
    const source = etcdSource({
      prefix: "/long",
      clock: systemClock,
      onProof: () => undefined,
      servers: serversOf(() => client()),
    });
    let listed = 0;
    const running = source(
      {
        reset: (all) => {
          listed = all.size;
        },
        apply: (changes) => {
          gone += changes.size;
        },
      },
      stop.signal,
    );
    await until(() => listed === 20_000, { what: "all listed" });
    await etcdctl(server.endpoint, ["lease", "revoke", lease]);
    await until(() => gone === 20_000, { what: "all gone" });
    stop.abort();
    await running;
  });

  it("reads round documents of others that no message could hold together", async () => {
    const own = await client();
    const value = Buffer.alloc(1_400_000, "x");
    for (let index = 0; index < 28; index++)
      await own.txn({ success: [{ request_put: { key: Buffer.from(`/huge/web/h${index}`), value } }] });
    await etcdWrite(server.endpoint, "/huge/web/good", '{"host":"127.0.0.1","port":1}');
    const follower = follow(await open("/huge"), "web");
    await until(() => follower.names().join() === "good", { what: "the good one" });
    expect((await list(own, "/huge")).entries.size).toBe(29);
    await follower.stop();
    own.close();
    await etcdctl(server.endpoint, ["del", "--prefix", "/huge"]);
  });
});

describe("close", () => {
  it("leaves no connection and nothing to be thrown, amid a storm of events", async () => {
    proxy = await startFaultProxy(server.endpoint);
    const writer = await open("/storm");
    const session = await writer.announce(owner("node-a", "b1"), [], NEVER);
    let writing = true;
    const storm = (async () => {
      for (let port = 1; writing; port = (port % 60_000) + 1) await session.put(record("web", "busy", port));
    })();
    for (let round = 0; round < 10; round++) {
      const registry = await open("/storm", 3_000, proxy.endpoint);
      const follower = follow(registry, "web");
      await until(() => follower.batches.length > 1, { what: "events" });
      await registry.close();
      await follower.stop();
    }
    writing = false;
    await storm;
    await until(() => proxy.open() === 0, { what: "no connection left" });
  });

  it("ends a session that is just being made, too", async () => {
    proxy = await startFaultProxy(server.endpoint);
    for (let waitMs = 0; waitMs < 60; waitMs += 6) {
      const registry = await open("/closing", 3_000, proxy.endpoint);
      const outcome = registry.announce(owner("node-a", `b${waitMs}`), records("web", 5), NEVER).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await registry.close();
      await outcome;
    }
    await until(() => proxy.open() === 0, { what: "no connection left" });
    await until(async () => (await etcdEntries(server.endpoint, "/closing/")).size === 0, {
      what: "nobody renews a lease",
      timeoutMs: 9_000,
    });
  });
});

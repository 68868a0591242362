import { strict as assert } from "node:assert";
import { get } from "node:http";
import { text } from "node:stream/consumers";
import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import type { Snapshot } from "@smartstack/proxy";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { createSynapse, synapseConfig } from "@smartstack/synapse";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { etcdClient } from "../../packages/registry/src/etcd/client.ts";
import { etcdctl, etcdEntries, etcdRevision, etcdWrite, startEtcd, type TestServer } from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { freePort } from "../support/ports.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { announcer, type Follower, follow } from "./registry-follower.ts";
import { openers } from "./registry-real-harness.ts";

const TTL_MS = 3_000;
const STEADY_MS = Number(process.env.SMARTSTACK_STEADY_SECONDS ?? 6) * 1_000;
const cleanups: (() => unknown)[] = [];
let server: TestServer;

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server?.stop());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function configOf(prefix: string, endpoint = server.endpoint): RegistryConfig {
  return { type: "etcd", hosts: [endpoint], prefix, ttl: TTL_MS };
}

async function open(prefix: string, endpoint = server.endpoint): Promise<Registry> {
  const deps = { clock: systemClock, random: systemRandom, events: eventBus() };
  const registry = await openRegistry(configOf(prefix, endpoint), deps);
  cleanups.push(() => registry.close());
  return registry;
}

function followed(registry: Registry): Follower {
  const follower = follow(registry, "web");
  cleanups.push(() => follower.stop());
  return follower;
}

/** A synapse over the registry whose proxy only keeps what it was told to apply. */
async function synapseOver(registry: Registry): Promise<readonly Snapshot[]> {
  const applied: Snapshot[] = [];
  const proxy = {
    apply: (snapshot: Snapshot) => void applied.push(snapshot),
    settled: () => Promise.resolve(),
    status: () => [],
    setLocalState: () => false,
    close: () => Promise.resolve(),
  };
  const synapse = createSynapse(synapseConfig.parse({ services: { web: { proxy: { listen: "127.0.0.1:3000" } } } }), {
    registryFor: async () => registry,
    proxy,
    clock: systemClock,
    random: systemRandom,
    events: eventBus(),
    defaultDiscover: "off",
  });
  await synapse.start();
  cleanups.push(() => synapse.stop({ graceMs: 0 }));
  return applied;
}

const backends = (applied: readonly Snapshot[]): string =>
  (applied.at(-1)?.services[0]?.backends ?? [])
    .map(({ key }) => key)
    .sort()
    .join();

it("F1 every entry hangs on the one lease of its nerve, and all are gone a ttl after kill -9", async () => {
  const process = await openers(configOf("/f1")).owner?.("node-k", "web", 50);
  cleanups.push(() => process?.kill());
  const entries = await etcdEntries(server.endpoint, "/f1/");
  expect(entries.size).toBe(51);
  const leases = new Set([...entries.values()].map(({ lease }) => lease));
  expect(leases.size).toBe(1);
  expect(leases.has("0")).toBe(false);
  process?.kill();
  const killedMs = performance.now();
  await until(async () => (await etcdEntries(server.endpoint, "/f1/")).size === 0, { what: "gone", timeoutMs: 9_000 });
  expect(performance.now() - killedMs).toBeLessThan(TTL_MS + 1_000);
});

it("F2 a revoked lease is replaced within 2 s: the same keys on a new lease", async () => {
  const follower = followed(await open("/f2"));
  const nerve = announcer(await open("/f2"), owner("node-a", "b1"), () => records("web", 150));
  cleanups.push(() => nerve.stop("withdraw"));
  await until(() => follower.names().length === 150, { what: "announced" });
  const before = await etcdEntries(server.endpoint, "/f2/");
  const [{ lease } = assert.fail()] = before.values();
  await etcdctl(server.endpoint, ["lease", "revoke", BigInt(lease).toString(16)]);
  const revokedMs = performance.now();
  await until(() => nerve.sessions.length > 1, { what: "announced again" });
  expect(performance.now() - revokedMs).toBeLessThan(2_000);
  const after = await etcdEntries(server.endpoint, "/f2/");
  expect([...after.keys()]).toEqual([...before.keys()]);
  const leases = new Set([...after.values()].map((entry) => entry.lease));
  expect(leases.size === 1 && !leases.has(lease)).toBe(true);
});

it("F3 a deleted entry and one overwritten with junk are repaired, and the others stay meanwhile", async () => {
  const follower = followed(await open("/f3"));
  const nerve = announcer(await open("/f3"), owner("node-a", "b1"), () => records("web", 3));
  cleanups.push(() => nerve.stop("withdraw"));
  await until(() => follower.names().length === 3, { what: "announced" });
  const begun = follower.history.length;
  await etcdctl(server.endpoint, ["del", "/f3/web/web-0"]);
  await until(() => follower.history.slice(begun).some(({ instances }) => !instances.has("web-0")), { what: "seen" });
  await until(() => follower.names().length === 3, { what: "the deleted one is back" });
  await etcdWrite(server.endpoint, "/f3/web/web-1", "junk");
  await until(
    async () => (await etcdEntries(server.endpoint, "/f3/web/web-1")).get("/f3/web/web-1")?.value.includes('"port"'),
    { what: "the junk is replaced" },
  );
  await until(() => follower.names().length === 3, { what: "all seen" });
  const entries = await etcdEntries(server.endpoint, "/f3/web/");
  expect(new Set([...entries.values()].map(({ lease }) => lease)).size, "repaired on our lease").toBe(1);
  expect(follower.history.slice(begun).every(({ instances }) => instances.has("web-2"))).toBe(true);
  expect(nerve.sessions).toHaveLength(1);
});

it("one of a watch's connections that falls silent alone is noticed as soon as a whole server", async () => {
  const silences = await Promise.all(
    [/range: .*DEADLINE_EXCEEDED|range did not finish/, /watch gives no sign of life/].map(async (reason, index) => {
      const proxy = await startFaultProxy(server.endpoint);
      cleanups.push(() => proxy.close());
      const registry = await open("/silent", proxy.endpoint);
      const follower = followed(registry);
      await until(() => follower.batches.length > 0, { what: "watched" });
      expect(proxy.open(), "reads and the watch have a connection each").toBe(2);
      proxy.stallOnly(index);
      const silentMs = performance.now();
      await until(() => !registry.status().connected, { what: "noticed", everyMs: 10 });
      expect(registry.status().lastError).toMatch(reason);
      const tookMs = performance.now() - silentMs;
      await until(() => follower.resets() > 1, { what: "watched by new connections" });
      return Math.round(tookMs);
    }),
  );
  console.log(`a silent connection of etcd: noticed after ${silences.join(" and ")} ms`);
  expect(Math.max(...silences)).toBeLessThan(5_000);
});

it("F7 both sides begin before their etcd, and need no restart once it is there", async () => {
  const port = await freePort();
  const endpoint = `127.0.0.1:${port}`;
  const applied = await synapseOver(await open("/f7", endpoint));
  const nerve = announcer(await open("/f7", endpoint), owner("node-a", "b1"), () => records("web", 2));
  cleanups.push(() => nerve.stop("keep"));
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(nerve.sessions).toHaveLength(0);
  const late = await startEtcd({ port });
  cleanups.push(() => late.stop());
  const thereMs = performance.now();
  await until(() => backends(applied) === "web-0,web-1", { what: "announced and applied" });
  expect(performance.now() - thereMs).toBeLessThan(5_000);
});

it("F8 500 changes in a second end in a pool that equals the last of them, in at most 10 applies", async () => {
  const applied = await synapseOver(await open("/f8"));
  const client = etcdClient(server.endpoint, {}, systemClock);
  cleanups.push(() => client.close());
  const key = (index: number): Buffer => Buffer.from(`/f8/web/i${index % 40}`);
  await client.txn({ success: [{ request_put: { key: key(39), value: Buffer.from('{"host":"h","port":1}') } }] });
  await until(() => backends(applied) === "i39", { what: "watched" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const before = applied.length;
  const beganMs = performance.now();
  const last = new Map<string, boolean>();
  for (let change = 0; change < 500; change++) {
    const there = change % 3 !== 2;
    const value = Buffer.from(`{"host":"h","port":${1_000 + change}}`);
    const success = there
      ? { request_put: { key: key(change), value } }
      : { request_delete_range: { key: key(change) } };
    await client.txn({ success: [success] });
    last.set(key(change).toString().slice("/f8/web/".length), there);
    const restMs = beganMs + change * 2 - performance.now();
    if (restMs > 1) await new Promise((resolve) => setTimeout(resolve, restMs));
  }
  const tookMs = performance.now() - beganMs;
  const truth = [...last].flatMap(([id, there]) => (there ? [id] : [])).sort();
  await until(() => backends(applied) === truth.join(), { what: "the last state" });
  // Ten in the first second, five in each further one that a slow machine needs.
  expect(applied.length - before).toBeLessThanOrEqual(10 + Math.ceil(Math.max(0, tookMs - 1_000) / 200));
});

it(`F11 nothing is written in a steady state (${STEADY_MS / 1_000} s), and a lease is renewed 3 times a ttl at most`, async () => {
  const all = Array.from({ length: 20 }, (_, index) => record(`service-${index}`, `i${index}`, 8_000 + index));
  const registry = await open("/f11");
  const session = await registry.announce(owner("node-a", "b1"), all, NEVER);
  const watching = await open("/f11");
  const followers = all.map(({ service }) => follow(watching, service));
  cleanups.push(() => Promise.all(followers.map((follower) => follower.stop())));
  await until(() => followers.every((follower) => follower.names().length === 1), { what: "all watched" });
  const renewals = async (): Promise<number> => {
    const response = await new Promise<import("node:http").IncomingMessage>((resolve, reject) => {
      get(`http://${server.endpoint}/metrics`, resolve).on("error", reject);
    });
    const line = /^grpc_server_msg_received_total\{grpc_method="LeaseKeepAlive".*\} (\d+)/m.exec(await text(response));
    return Number(line?.[1] ?? assert.fail("no such metric"));
  };
  const before = { revision: await etcdRevision(server.endpoint), renewals: await renewals() };
  const beganMs = performance.now();
  while (performance.now() - beganMs < STEADY_MS) {
    for (const one of all) await session.put(one);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(await etcdRevision(server.endpoint)).toBe(before.revision);
  const perTtl = ((await renewals()) - before.renewals) / ((performance.now() - beganMs) / TTL_MS);
  expect(perTtl).toBeLessThan(3.7);
  await session.close("withdraw");
});

import { strict as assert } from "node:assert";
import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { etcdClient } from "../../packages/registry/src/etcd/client.ts";
import {
  etcdctl,
  etcdEntries,
  etcdKeepalives,
  etcdTransactions,
  etcdWrite,
  startEtcd,
  type TestServer,
} from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { timed } from "../support/pauses.ts";
import { owner, records } from "./registry-case.ts";
import { announcer, type Follower, follow } from "./registry-follower.ts";
import { openers } from "./registry-real-harness.ts";
import { backends, synapseOver } from "./registry-synapse.ts";

const TTL_MS = 3_000;
const cleanups: (() => unknown)[] = [];
let server: TestServer;

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server?.stop());
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function configOf(prefix: string, endpoint = server.endpoint, ttl = TTL_MS): RegistryConfig {
  return { type: "etcd", hosts: [endpoint], prefix, ttl };
}

async function open(prefix: string, endpoint = server.endpoint, ttl = TTL_MS): Promise<Registry> {
  const deps = { clock: systemClock, random: systemRandom, events: eventBus() };
  const registry = await openRegistry(configOf(prefix, endpoint, ttl), deps);
  cleanups.push(() => registry.close());
  return registry;
}

function followed(registry: Registry): Follower {
  const follower = follow(registry, "web");
  cleanups.push(() => follower.stop());
  return follower;
}

it("F1 every entry hangs on the one lease of its nerve, and all are gone a ttl after kill -9", async () => {
  const process = await openers(configOf("/f1")).owner?.("node-k", "web", 50);
  cleanups.push(() => process?.kill());
  const entries = await etcdEntries(server.endpoint, "/f1/");
  expect(entries.size).toBe(51);
  const leases = new Set([...entries.values()].map(({ lease }) => lease));
  expect(leases.size).toBe(1);
  expect(leases.has("0")).toBe(false);
  process?.kill();
  const gone = async (): Promise<boolean> => (await etcdEntries(server.endpoint, "/f1/")).size === 0;
  expect(await timed(() => until(gone, { what: "gone" }))).toBeLessThan(TTL_MS + 1_000);
});

it("F2 a revoked lease is replaced within 2 s: the same 1,000 keys on a new lease, put together", async () => {
  const follower = followed(await open("/f2"));
  const nerve = announcer(await open("/f2"), owner("node-a", "b1"), () => records("web", 1_000));
  cleanups.push(() => nerve.stop("withdraw"));
  await until(() => follower.names().length === 1_000 && nerve.session(), { what: "announced" });
  const before = await etcdEntries(server.endpoint, "/f2/");
  const asked = await etcdTransactions(server.endpoint);
  const [{ lease } = assert.fail()] = before.values();
  await etcdctl(server.endpoint, ["lease", "revoke", BigInt(lease).toString(16)]);
  const again = (): boolean => nerve.sessions.length > 1;
  expect(await timed(() => until(again, { what: "announced again" }))).toBeLessThan(2_000);
  const after = await etcdEntries(server.endpoint, "/f2/");
  expect([...after.keys()]).toEqual([...before.keys()]);
  const leases = new Set([...after.values()].map((entry) => entry.lease));
  expect(leases.size === 1 && !leases.has(lease)).toBe(true);
  const transactions = (await etcdTransactions(server.endpoint)) - asked;
  console.log(`1,000 entries were put again in ${transactions} transactions`);
  // Eleven of at most a hundred, and one to ask whose the node is.
  expect(transactions).toBeLessThanOrEqual(14);
});

it("F3 a deleted entry and one overwritten with junk are repaired, and the others stay meanwhile", async () => {
  const follower = followed(await open("/f3"));
  const nerve = announcer(await open("/f3"), owner("node-a", "b1"), () => records("web", 3));
  cleanups.push(() => nerve.stop("withdraw"));
  await until(() => follower.names().length === 3 && nerve.session(), { what: "announced" });
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

/** How long it takes until a watch notices that one of its connections alone says nothing any more, milliseconds. */
async function watchSilence(index: number, reason: RegExp): Promise<number> {
  const proxy = await startFaultProxy(server.endpoint);
  cleanups.push(() => proxy.close());
  const registry = await open("/silent", proxy.endpoint);
  const follower = followed(registry);
  await until(() => follower.batches.length > 0, { what: "watched" });
  expect(proxy.open(), "reads and the watch have a connection each").toBe(2);
  proxy.stallOnly(index);
  const noticed = (): boolean => !registry.status().connected;
  const tookMs = await timed(() => until(noticed, { what: "noticed", everyMs: 10 }));
  expect(registry.status().lastError).toMatch(reason);
  await until(() => follower.resets() > 1, { what: "watched by new connections" });
  return Math.round(tookMs);
}

/** The same for a session and the connection that its lease is renewed by. */
async function leaseSilence(): Promise<number> {
  const proxy = await startFaultProxy(server.endpoint);
  cleanups.push(() => proxy.close());
  // Three renewals in this ttl would be too few.
  const registry = await open("/held", proxy.endpoint, 12_000);
  const follower = followed(registry);
  await until(() => follower.batches.length > 0, { what: "watched" });
  const renewals = await etcdKeepalives(server.endpoint);
  const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 2));
  cleanups.push(() => nerve.stop("withdraw"));
  const session = await until(() => nerve.session(), { what: "announced" });
  await until(() => follower.names().length === 2, { what: "seen" });
  const whole = follower.history.length;
  expect(proxy.open(), "reads and a watch, a lease and writes").toBe(4);
  await until(async () => (await etcdKeepalives(server.endpoint)) > renewals, { what: "renewed" });
  proxy.stallOnly(2);
  const tookMs = await timed(() => until(() => session.lost.aborted, { what: "noticed", everyMs: 10 }));
  expect(session.lost.reason).toMatchObject({ message: expect.stringContaining("did not answer a keepalive") });
  await until(() => nerve.session() !== session, { what: "announced again" });
  expect(follower.resets(), "the watch lives on").toBe(1);
  expect(follower.history.slice(whole).every(({ instances }) => instances.size === 2)).toBe(true);
  return Math.round(tookMs);
}

it("each of etcd's connections that falls silent alone is noticed as soon as a whole server", async () => {
  const silences = await Promise.all([
    watchSilence(0, /range: .*DEADLINE_EXCEEDED|range did not finish/),
    watchSilence(1, /watch gives no sign of life/),
    leaseSilence(),
  ]);
  const [reads, watch, lease] = silences;
  console.log(`a silent connection of etcd: noticed after ${reads} (reads), ${watch} (watch) and ${lease} ms (lease)`);
  expect(Math.max(...silences)).toBeLessThan(5_000);
});

it("F8 500 changes in a second end in a pool that equals the last of them, in at most 10 applies", async () => {
  const { applied, stop } = await synapseOver(await open("/f8"));
  cleanups.push(stop);
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

import { eventBus, type InstanceRecord, type Registry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestServer } from "../support/etcd.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { timed } from "../support/pauses.ts";
import {
  startZooKeeper,
  zookeeperForbid,
  zookeeperOwners,
  zookeeperRead,
  zookeeperVersion,
  zookeeperWrite,
} from "../support/zookeeper.ts";
import { NEVER, owner } from "./registry-case.ts";
import { announcer, follow, followServices } from "./registry-follower.ts";

// Nerve's layout knows neither node entries nor who may write, which is what the suite of our own layouts is about.

type Config = Extract<RegistryConfig, { readonly type: "zookeeper-nerve" }>;

const TTL_MS = 4_000;
const PAYLOAD = '{"host":"1.2.3.4","port":3000,"name":"mymachine"}';
const WEIGHTY = '{"host":"1.2.3.4","port":3000,"name":"mymachine","weight":2,"labels":{"b":"2","a":"1"}}';
let server: TestServer;
const opened: Registry[] = [];

beforeAll(async () => {
  server = await startZooKeeper();
});

afterAll(async () => {
  await Promise.all(opened.map((registry) => registry.close()));
  await server?.stop();
});

async function open(path: string, more: Partial<Config> = {}, events = eventBus()): Promise<Registry> {
  const deps = { clock: systemClock, random: () => 0, events };
  const decode = { method: "nerve" } as const;
  const defaults = { type: "zookeeper-nerve", node_type: "ephemeral_sequential", use_path_encoding: false } as const;
  const registry = await openRegistry(
    { ...defaults, hosts: [server.endpoint], ttl: TTL_MS, path, decode, ...more },
    deps,
  );
  opened.push(registry);
  return registry;
}

function service(name: string, more: Partial<InstanceRecord["instance"]> = {}): InstanceRecord {
  const instance = {
    host: "1.2.3.4",
    port: 3_000,
    name: "mymachine",
    id: "node-3000",
    node: "node",
    boot: "b",
    ...more,
  };
  return { service: name, id: "node-3000", instance };
}

const NODE = owner("node", "b");
const nodes = async (path: string): Promise<[string, string][]> =>
  [...(await zookeeperRead(server.endpoint, path))].sort();
const names = async (path: string): Promise<string[]> => (await nodes(path)).map(([name]) => name);

describe.concurrent("nerve's layout in ZooKeeper", () => {
  it.each([
    ["ephemeral_sequential", "mymachine_0000000000"],
    ["ephemeral", "mymachine_"],
    ["persistent_sequential", "mymachine_0000000000"],
    ["persistent", "mymachine_"],
  ] as const)("%s nodes have nerve's names, bytes and lives", async (node_type, name) => {
    const path = `/names/${node_type}/web/services`;
    const session = await (await open(path, { node_type })).announce(NODE, [service("web")], NEVER);
    expect(await nodes(path)).toEqual([[name, PAYLOAD]]);
    const hold = (await zookeeperOwners(server.endpoint, path)).get(name);
    expect(hold === "").toBe(node_type.startsWith("persistent"));
    await session.put(service("web", { weight: 2, labels: { b: "2", a: "1" } }));
    expect(await nodes(path)).toEqual([[name, WEIGHTY]]);
    expect([...session.entries()]).toEqual([
      ["web/node-3000", service("web", { weight: 2, labels: { b: "2", a: "1" } }).instance],
    ]);
    await session.drop("web", "node-3000");
    expect(await nodes(path)).toEqual([]);
    await session.put(service("web"));
    await session.close("withdraw");
    expect(await nodes(path)).toEqual([]);
  });

  it("puts the payload into the name when asked to, and a new one beside the old before that goes", async () => {
    const path = "/encoded/web";
    const session = await (await open(path, { use_path_encoding: true })).announce(NODE, [service("web")], NEVER);
    const reader = follow(await open(path), "web");
    const base = "base64_68_eyJob3N0IjoiMS4yLjMuNCIsInBvcnQiOjMwMDAsIm5hbWUiOiJteW1hY2hpbmUifQ==_";
    expect(await nodes(path)).toEqual([[`${base}0000000000`, PAYLOAD]]);
    await until(() => reader.names().length === 1, { what: "read from its name" });
    await session.put(service("web", { weight: 2 }));
    await until(() => [...reader.state().instances.values()].every(({ weight }) => weight === 2), {
      what: "the new one",
    });
    expect(await names(path)).toHaveLength(1);
    expect(reader.history.slice(1).every(({ instances }) => instances.size > 0)).toBe(true);
    await session.close("withdraw");
    await reader.stop();
  });

  it.each(["ephemeral_sequential", "persistent_sequential", "ephemeral", "persistent"] as const)(
    "%s: a node whose answer got lost is there once, or not at all when it is no longer wanted",
    async (node_type) => {
      const path = `/lost/${node_type}`;
      const proxy: FaultProxy = await startFaultProxy(server.endpoint);
      let wanted: InstanceRecord[] = [];
      const nerve = announcer(await open(path, { node_type, hosts: [proxy.endpoint] }), NODE, () => wanted);
      await until(() => nerve.session() !== undefined, { what: "a session" });
      const ours = async () => (await names(path)).filter((name) => name.startsWith("mymachine_"));
      let lost = 0;
      // Before the answer to the look at the folder, to the node's making, to the watch of it, and in the middle of each.
      for (const bytes of [0, 40, 88, 100, 140, 200]) {
        for (const stays of [true, false]) {
          wanted = stays ? [service("web")] : [];
          const before = nerve.sessions.length;
          proxy.cutAfter(bytes);
          await nerve
            .session()
            ?.put(service("web"))
            .catch(() => lost++);
          await until(() => nerve.sessions.length > before, { what: `a session again, after ${bytes} bytes` });
          if (stays) expect(nerve.session()?.entries().size).toBe(1);
          if (stays) expect(await ours()).toHaveLength(1);
          await nerve.session()?.drop("web", "node-3000");
          expect(await ours(), `after ${bytes} bytes`).toEqual([]);
        }
      }
      expect(lost).toBeGreaterThan(4);
      await nerve.stop("withdraw");
      await proxy.close();
    },
  );

  it("keeps its nodes through a connection loss, and makes them again after an expired session", async () => {
    const path = "/session";
    const proxy = await startFaultProxy(server.endpoint);
    const nerve = announcer(await open(path, { hosts: [proxy.endpoint] }), NODE, () => [service("web")]);
    await until(() => nerve.session()?.entries().size === 1, { what: "announced" });
    const sessions = nerve.sessions.length;
    proxy.cut();
    proxy.heal();
    await until(() => nerve.sessions.length > sessions, { what: "resumed" });
    expect(await names(path)).toEqual(["mymachine_0000000000"]);
    proxy.stall();
    await until(async () => (await names(path)).length === 0, { what: "expired", timeoutMs: TTL_MS + 4_000 });
    proxy.heal();
    await until(async () => (await names(path)).join() === "mymachine_0000000001", { what: "made again" });
    await nerve.stop("withdraw");
    await proxy.close();
  });

  it.each(["keep", "withdraw"] as const)("closes within 2 s of a server that says nothing (%s)", async (mode) => {
    const proxy = await startFaultProxy(server.endpoint);
    const registry = await open(`/silent/${mode}`, { hosts: [proxy.endpoint] });
    const session = await registry.announce(NODE, [service("web")], NEVER);
    proxy.stall();
    const closingMs = await timed(async () => {
      await session.close(mode);
      await registry.close();
    });
    expect(closingMs).toBeLessThan(2_000);
    await proxy.close();
  });

  it("repairs what others delete or overwrite", async () => {
    const path = "/foreign";
    const nerve = announcer(await open(path), NODE, () => [service("web")]);
    await until(() => nerve.session()?.entries().size === 1, { what: "announced" });
    await zookeeperWrite(server.endpoint, `${path}/mymachine_0000000000`, "junk");
    await until(async () => (await nodes(path))[0]?.[1] === PAYLOAD, { what: "written again" });
    await zookeeperWrite(server.endpoint, `${path}/mymachine_0000000000`, undefined);
    await until(async () => (await names(path)).join() === "mymachine_0000000001", { what: "made again" });
    await until(() => nerve.session()?.entries().size === 1, { what: "known again" });
    await nerve.stop("withdraw");
  });

  it("announces all but what is refused, and says which that is", async () => {
    const path = "/refused/{service}/services";
    await zookeeperWrite(server.endpoint, "/refused/db/services", "");
    await zookeeperForbid(server.endpoint, "/refused/db/services", true);
    const events = eventBus();
    const rejected: string[] = [];
    events.subscribe((event) => {
      if (event.name === "registry.document_rejected")
        rejected.push(`${event.data.service}/${event.data.id}: ${event.data.reason}`);
    });
    const registry = await open(path, {}, events);
    const huge = service("huge", { labels: { x: "x".repeat(20_000) } });
    const session = await registry.announce(NODE, [service("db"), huge, service("web")], NEVER);
    expect([...session.entries().keys()]).toEqual(["web/node-3000"]);
    expect(await names("/refused/web/services")).toEqual(["mymachine_0000000000"]);
    expect(rejected.map((text) => text.slice(0, text.indexOf("/"))).sort()).toEqual(["db", "huge"]);
    await expect(session.put(service("db"))).rejects.toThrow(/not allowed by the node's access control list/);
    await expect(session.put(huge)).rejects.toThrow(/bytes/);
    await session.put(service("api"));
    expect(session.lost.aborted).toBe(false);
    const [db, web] = ["db", "web"].map((name) => follow(registry, name));
    await until(() => web?.names().length === 1 && db?.names().length === 0, { what: "read, but for the forbidden" });
    await zookeeperForbid(server.endpoint, "/refused/db/services", false);
    await session.put(service("db"));
    await until(() => db?.names().length === 1, { what: "read when it may be" });
    expect([web?.resets(), db?.resets()]).toEqual([1, 1]);
    await Promise.all([db?.stop(), web?.stop()]);
    await session.close("withdraw");
  });

  it("takes a fixed name over from a session that is about to end", async () => {
    const path = "/ghost";
    const ghost = await open(path, { node_type: "ephemeral" });
    await ghost.announce(NODE, [service("web")], NEVER);
    const before = (await zookeeperOwners(server.endpoint, path)).get("mymachine_");
    await ghost.close();
    const session = await (await open(path, { node_type: "ephemeral" })).announce(NODE, [service("web")], NEVER);
    const after = (await zookeeperOwners(server.endpoint, path)).get("mymachine_");
    expect(after).toMatch(/^[0-9a-f]{16}$/);
    expect(after).not.toBe(before);
    await session.close("withdraw");
  });

  it("writes persistent nodes again every ttl_seconds, as they are", async () => {
    const path = "/refreshed";
    const more = { node_type: "persistent_sequential", ttl_seconds: 1_000 } as const;
    const session = await (await open(path, more)).announce(NODE, [service("web")], NEVER);
    const node = `${path}/mymachine_0000000000`;
    await until(async () => (await zookeeperVersion(server.endpoint, node)) >= 2, { what: "written twice more" });
    expect(await nodes(path)).toEqual([["mymachine_0000000000", PAYLOAD]]);
    await session.close("keep");
    const version = await zookeeperVersion(server.endpoint, node);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await zookeeperVersion(server.endpoint, node)).toBe(version);
  });

  it("reads what nerve, others and hands left: names, quoted ports, and one bad node is one bad node", async () => {
    const path = "/read/web";
    const write = (name: string, text: string): Promise<void> =>
      zookeeperWrite(server.endpoint, `${path}/${name}`, text);
    await write("a_0000000001", PAYLOAD);
    await write("b_0000000002", '{"host":"1.2.3.4","port":"3001","name":"b","weight":3,"unknown":[1]}');
    await write("bad_0000000003", "torn");
    await write("base64_3_???_0000000004", '{"host":"1.2.3.4","port":3002,"name":"bad name, good data"}');
    const registry = await open(path);
    const follower = follow(registry, "anything");
    const ports = (): number[] => [...follower.state().instances.values()].map(({ port }) => port).sort();
    await until(() => ports().join() === "3000,3001,3002", { what: "the good ones" });
    expect(follower.state().instances.get("b_0000000002")).toMatchObject({ weight: 3, name: "b" });
    await write("a_0000000001", PAYLOAD.replace("3000", "3003"));
    await write("bad_0000000003", undefined as never);
    await until(() => ports().join() === "3001,3002,3003", { what: "a change" });
    await follower.stop();
  });

  it("reads Finagle's server sets, by shard and endpoint", async () => {
    const path = "/serverset";
    const endpoints = {
      serviceEndpoint: { host: "10.0.0.1", port: 1 },
      additionalEndpoints: { http: { host: "10.0.0.1", port: 2 } },
    };
    await zookeeperWrite(server.endpoint, `${path}/member_0000000001`, JSON.stringify({ ...endpoints, shard: 4 }));
    await zookeeperWrite(
      server.endpoint,
      `${path}/member_0000000002`,
      JSON.stringify({ serviceEndpoint: endpoints.serviceEndpoint }),
    );
    const follower = follow(await open(path, { decode: { method: "serverset", endpoint_name: "http" } }), "web");
    await until(() => follower.names().length === 1, { what: "the one with that endpoint" });
    expect(follower.state().instances.get("member_0000000001")).toMatchObject({ host: "10.0.0.1", port: 2, name: "4" });
    await follower.stop();
  });

  it("finds services by a path with {service} in it, as they come and go, over one connection", async () => {
    const proxy = await startFaultProxy(server.endpoint);
    const registry = await open("/nerve/services/{service}/services", { hosts: [proxy.endpoint] });
    const list = followServices(registry);
    const followers = ["web", "db"].map((name) => follow(registry, name));
    await until(() => list.lists.at(-1)?.join() === "", { what: "nothing yet" });
    const writer = await open("/nerve/services/{service}/services");
    const session = await writer.announce(NODE, [service("web"), service("db", { port: 5_432 })], NEVER);
    await until(() => list.lists.at(-1)?.join() === "db,web", { what: "both listed" });
    await until(() => followers.every((one) => one.names().join() === "mymachine_0000000000"), { what: "both read" });
    expect(await names("/nerve/services/db/services")).toEqual(["mymachine_0000000000"]);
    await session.drop("web", "node-3000");
    await until(() => list.lists.at(-1)?.join() === "db", { what: "one is gone" });
    expect(proxy.taken()).toBe(1);
    list.stop();
    await Promise.all(followers.map((one) => one.stop()));
    await session.close("withdraw");
    await registry.close();
    await proxy.close();
  });
});

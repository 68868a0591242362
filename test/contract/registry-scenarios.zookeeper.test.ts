import { strict as assert } from "node:assert";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { encodeInstance, eventBus, type Registry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestServer } from "../support/etcd.ts";
import { timed } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";
import {
  startZooKeeper,
  TICK_MS,
  zookeeperForbid,
  zookeeperOwners,
  zookeeperRead,
  zookeeperWrite,
} from "../support/zookeeper.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { announcer, follow } from "./registry-follower.ts";
import { openers } from "./registry-real-harness.ts";
import { backends, synapseOver } from "./registry-synapse.ts";

const TTL_MS = 4_000;
/** FAULTS=full takes the times of the scenarios as they were written down. */
const LATE_MS = process.env.FAULTS === "full" ? 20_000 : 8_000;
const LATE_TEST_MS_MAX = LATE_MS + 60_000;
const DOWN_MS = process.env.FAULTS === "full" ? 30_000 : 3_000;

let server: TestServer;
let folder: string;
const opened: Registry[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "smartstack-zookeeper-"));
  server = await startZooKeeper({ dataDir: folder });
});

afterAll(async () => {
  await Promise.all(opened.map((registry) => registry.close()));
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

type More = Partial<
  Pick<Extract<Parameters<typeof openRegistry>[0], { type: "zookeeper" }>, "hosts" | "auth" | "access">
>;

async function open(prefix: string, more: More = {}, events = eventBus()): Promise<Registry> {
  const deps = { clock: systemClock, random: () => 0, events };
  const config = { type: "zookeeper" as const, hosts: [server.endpoint], prefix, ttl: TTL_MS, ...more };
  const registry = await openRegistry(config, deps);
  opened.push(registry);
  return registry;
}

const document = (port: number): string => encodeInstance({ host: "127.0.0.1", port });

describe.concurrent("ZooKeeper", () => {
  it("G1 makes a base path four levels deep, persistent, by two nerves at once, below a chroot", async () => {
    const more = { hosts: [`${server.endpoint}/g1/chroot`] };
    const nerves = await Promise.all(
      ["node-a", "node-b"].map(async (node) =>
        (await open("/deep/deeper/services", more)).announce(owner(node, "b1"), [record("web", node, 80)], NEVER),
      ),
    );
    const found = await zookeeperRead(server.endpoint, "/g1/chroot/deep/deeper/services");
    expect([...found.keys()].filter((path) => path.startsWith("web/")).sort()).toEqual(["web/node-a", "web/node-b"]);
    for (const path of ["/g1", "/g1/chroot/deep", "/g1/chroot/deep/deeper/services"])
      expect([...(await zookeeperOwners(server.endpoint, path)).values()].every((hold) => hold === "")).toBe(true);
    await Promise.all(nerves.map((session) => session.close("withdraw")));
  });

  it("G2 all entries of a nerve hang on its one session, and go with it when it is killed with -9", async () => {
    const bench = openers({ type: "zookeeper", hosts: [server.endpoint], prefix: "/g2", ttl: TTL_MS });
    const process = await bench.owner?.("node-k", "web", 3);
    const folders = ["web", ".nodes", ".owners"];
    const owners = async () =>
      (await Promise.all(folders.map((name) => zookeeperOwners(server.endpoint, `/g2/${name}`)))).flatMap((all) => [
        ...all.values(),
      ]);
    const holds = await owners();
    expect(holds).toHaveLength(5);
    expect(new Set(holds).size).toBe(1);
    expect(holds[0]).toMatch(/^[0-9a-f]{16}$/);
    process?.kill();
    const gone = async (): Promise<boolean> => (await owners()).length === 0;
    expect(await timed(() => until(gone, { what: "gone" }))).toBeLessThan(TTL_MS + TICK_MS + 1_000);
  });

  it(
    `G6 a path that never existed is seen when it appears, ${LATE_MS / 1_000} s later`,
    async () => {
      const follower = follow(await open("/g6/not/yet"), "web");
      await until(() => follower.batches.length > 0, { what: "an empty beginning" });
      await pause(LATE_MS);
      await zookeeperWrite(server.endpoint, "/g6/not/yet/web/one", document(1));
      const seen = (): boolean => follower.names().join() === "one";
      expect(await timed(() => until(seen, { what: "seen" }))).toBeLessThan(1_000);
      expect(follower.resets()).toBe(1);
      await follower.stop();
    },
    LATE_TEST_MS_MAX,
  );

  it(
    `F7 both sides begin ${LATE_MS / 1_000} s before their ZooKeeper, and need no restart once it is there`,
    async ({ onTestFinished }) => {
      const port = await freePort();
      const hosts = [`127.0.0.1:${port}`];
      const [announcing, watching] = [await open("/f7", { hosts }), await open("/f7", { hosts })];
      const { applied, stop } = await synapseOver(watching);
      onTestFinished(stop);
      const nerve = announcer(announcing, owner("node-a", "b1"), () => records("web", 2));
      onTestFinished(() => nerve.stop("keep"));
      await pause(LATE_MS);
      expect(nerve.sessions).toHaveLength(0);
      const late = await startZooKeeper({ port });
      onTestFinished(() => late.stop());
      const there = (): boolean => backends(applied) === "web-0,web-1";
      expect(await timed(() => until(there, { what: "announced and applied" }))).toBeLessThan(5_000);
    },
    LATE_TEST_MS_MAX,
  );

  it("G8 a service's folder that is removed with its last child and made again is followed", async () => {
    const follower = follow(await open("/g8"), "web");
    for (let round = 1; round <= 3; round++) {
      await zookeeperWrite(server.endpoint, "/g8/web/one", document(round));
      await until(() => follower.state().instances.get("one")?.port === round, { what: "there" });
      await zookeeperWrite(server.endpoint, "/g8/web/one", undefined);
      await zookeeperWrite(server.endpoint, "/g8/web", undefined);
      await until(() => follower.names().length === 0, { what: "gone" });
    }
    expect(follower.resets()).toBe(1);
    await follower.stop();
  });

  it("what a user made is read by all and changed by that user alone; the password comes from a file", async () => {
    const password_file = join(folder, "password");
    await writeFile(password_file, "one\n");
    const auth = { username: "nerve", password_file };
    const session = await (await open("/acl", { auth })).announce(owner("node-a", "b1"), records("web", 2), NEVER);
    const reader = follow(await open("/acl"), "web");
    await until(() => reader.names().length === 2, { what: "read without a user" });
    const stranger = (await open("/acl")).announce(owner("node-b", "b1"), records("db", 1), NEVER);
    await assert.rejects(stranger, /not allowed by the node's access control list; give the registry a user/);
    await session.put(record("web", "more", 9_000));
    await until(() => reader.names().includes("more"), { what: "changed by its user" });
    // A renewed password is taken for the next connection: this one is another user to ZooKeeper.
    await writeFile(password_file, "two\n");
    const renamed = (await open("/acl", { auth })).announce(owner("node-c", "b1"), [], NEVER);
    await assert.rejects(renamed, /not allowed/);
    await rm(password_file);
    const without = (await open("/acl", { auth })).announce(owner("node-d", "b1"), [], NEVER);
    await assert.rejects(without, /password_file cannot be read/);
    await session.close("withdraw");
    await reader.stop();
  });

  it("what is private is not even read by others, who say why", async () => {
    const auth = { username: "nerve", password: "one" };
    const own = await open("/private", { auth, access: "private" });
    const session = await own.announce(owner("node-a", "b1"), records("web", 2), NEVER);
    const registry = await open("/private");
    const stranger = follow(registry, "web");
    await until(() => /not allowed/.test(registry.status().lastError ?? ""), { what: "the reason is told" });
    expect(stranger.batches).toEqual([]);
    await stranger.stop();
    await session.close("withdraw");
  });
});

describe.concurrent("ZooKeeper, one node of which is forbidden", () => {
  it("hides that one, says so once, and shows it when it may be read again", async () => {
    const write = (path: string, port: number): Promise<void> =>
      zookeeperWrite(server.endpoint, `/forbidden/${path}`, document(port));
    for (const path of ["web/one", "web/two", "db/three"]) await write(path, 1);
    await zookeeperForbid(server.endpoint, "/forbidden/web/one", true);
    await zookeeperForbid(server.endpoint, "/forbidden/db", true);
    const events = eventBus();
    const rejected: string[] = [];
    events.subscribe((event) => {
      if (event.name === "registry.document_rejected")
        rejected.push(`${event.data.service}/${event.data.id} ${event.data.reason}`);
    });
    const registry = await open("/forbidden", {}, events);
    const [web, db] = [follow(registry, "web"), follow(registry, "db")];
    await until(() => web.names().join() === "two" && db.batches.length > 0, { what: "the others are read" });
    expect(db.names()).toEqual([]);
    await write("web/four", 4);
    await until(() => web.names().join() === "four,two", { what: "changes are seen" });
    await zookeeperForbid(server.endpoint, "/forbidden/web/two", true);
    await write("db/five", 5).catch(() => undefined);
    await zookeeperForbid(server.endpoint, "/forbidden/web/one", false);
    await zookeeperForbid(server.endpoint, "/forbidden/db", false);
    await until(() => web.names().includes("one"), { what: "one may be read again" });
    await until(() => db.names().includes("three"), { what: "a service may be read again" });
    expect([web.resets(), db.resets()]).toEqual([1, 1]);
    expect(rejected.map((text) => text.slice(0, text.indexOf(" "))).sort()).toEqual(["db/*", "web/one"]);
    expect(rejected.join()).toMatch(/read \/forbidden\/web\/one: not allowed by the node's access control list/);
    await Promise.all([web.stop(), db.stop()]);
  });
});

describe("ZooKeeper with much in it", () => {
  it("G10 reads 5,000 children, sees one more, and all of them go", async () => {
    const all = records("web", 5_000);
    const session = await (await open("/g10")).announce(owner("node-a", "b1"), all, NEVER);
    const follower = follow(await open("/g10"), "web");
    const loadMs = await timed(() =>
      until(() => follower.names().length === 5_000, { what: "all read", timeoutMs: 30_000, everyMs: 5 }),
    );
    await session.put(record("web", "more", 9_000));
    const addMs = await timed(() =>
      until(() => follower.state().instances.has("more"), { what: "one more", everyMs: 5 }),
    );
    console.log(`5,000 children: initial load ${Math.round(loadMs)} ms, one more ${Math.round(addMs)} ms`);
    expect(loadMs).toBeLessThan(3_000);
    expect(addMs).toBeLessThan(1_000);
    expect(follower.resets()).toBe(1);
    await session.close("withdraw");
    await follower.stop();
  });
});

describe("ZooKeeper, last of all", () => {
  it("needs no right to its root", async () => {
    await zookeeperWrite(server.endpoint, "/below/web/one", document(1));
    await zookeeperForbid(server.endpoint, "/", true);
    try {
      const follower = follow(await open("/below"), "web");
      await until(() => follower.names().join() === "one", { what: "read" });
      await follower.stop();
    } finally {
      await zookeeperForbid(server.endpoint, "/", false);
    }
  });

  it("G5 is away: what was known stays; when it is back it is read again, and later changes are seen", async () => {
    const watching = await open("/g5");
    const follower = follow(watching, "web");
    const nerve = announcer(await open("/g5"), owner("node-a", "b1"), () => records("web", 4));
    await until(() => follower.names().length === 4 && follower.state().nodes.size === 1, { what: "announced" });
    const known = follower.history.length;
    await server.kill();
    await until(() => !watching.status().connected, { what: "noticed" });
    await pause(DOWN_MS);
    expect(follower.history.length).toBe(known);
    const resets = follower.resets();
    await server.start();
    await until(() => follower.resets() > resets && watching.status().connected, { what: "read again" });
    await until(() => nerve.session()?.lost.aborted === false, { what: "announced again" });
    for (let port = 1; port <= 3; port++) {
      await nerve.session()?.put(record("web", "later", port));
      await until(() => follower.state().instances.get("later")?.port === port, { what: "seen" });
    }
    expect(follower.history.slice(known).every(({ instances }) => instances.size >= 4)).toBe(true);
    await nerve.stop("withdraw");
    await follower.stop();
  });
});

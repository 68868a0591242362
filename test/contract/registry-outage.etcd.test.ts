import { strict as assert } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, type Registry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll, expect, it } from "vitest";
import { etcdRead, startEtcd, type TestServer } from "../support/etcd.ts";
import { freePort } from "../support/ports.ts";
import { owner, records } from "./registry-case.ts";
import { announcer, follow } from "./registry-follower.ts";

const TTL_MS = 3_000;
let server: TestServer;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "smartstack-etcd-"));
  server = await startEtcd({ dataDir });
});

afterAll(async () => {
  await server?.stop();
  await rm(dataDir, { recursive: true, force: true });
});

function open(prefix: string, hosts = [server.endpoint]): Promise<Registry> {
  // The first server of the list is tried first.
  const deps = { clock: systemClock, random: () => 0, events: eventBus() };
  return openRegistry({ type: "etcd", hosts, prefix, ttl: TTL_MS }, deps);
}

it("passes over a server that is not there", async () => {
  const registry = await open("/passes", [`127.0.0.1:${await freePort()}`, server.endpoint]);
  const follower = follow(registry, "web");
  const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 2));
  await until(() => follower.names().length === 2, { what: "announced through the second server" });
  await nerve.stop("withdraw");
  await follower.stop();
  await registry.close();
});

it("announces again to a server that lost everything, and watchers see its new history", async () => {
  const registry = await open("/emptied");
  const watching = await open("/emptied");
  const follower = follow(watching, "web");
  const nerve = announcer(registry, owner("node-a", "b1"), () => records("web", 3));
  await until(() => follower.names().length === 3 && nerve.session(), { what: "announced" });
  for (let port = 1; port <= 50; port++)
    await nerve.session()?.put({ service: "web", id: "busy", instance: { host: "h", port } });
  const resets = follower.resets();
  await server.kill();
  await rm(join(dataDir, "member"), { recursive: true, force: true });
  await server.start();
  const back = () =>
    follower.resets() > resets && follower.names().join() === "web-0,web-1,web-2" && follower.state().nodes.size === 1;
  await until(back, { what: "announced to the new history", timeoutMs: 15_000 });
  // Watchers may see the announcement before its caller does.
  const later = { service: "web", id: "later", instance: { host: "h", port: 1 } };
  await until(
    () =>
      nerve
        .session()
        ?.put(later)
        .then(() => true),
    { what: "writes" },
  );
  await until(() => follower.names().includes("later"), { what: "watched in the new history" });
  await nerve.stop("keep");
  await follower.stop();
  await Promise.all([registry.close(), watching.close()]);
});

it("says where it writes and what lease time it was granted, and leaves nothing after a withdrawal", async () => {
  const registry = await open("/lease");
  const session = await registry.announce(owner("node-a", "b1"), records("web", 3), new AbortController().signal);
  expect(registry.status()).toMatchObject({ type: "etcd", connected: true, ttlMs: TTL_MS });
  assert.match(registry.status().target, /\/lease$/);
  await session.close("withdraw");
  expect(registry.status().lastError).toBeUndefined();
  expect(await etcdRead(server.endpoint, "/lease/")).toEqual(new Map());
  await registry.close();
});

import { setTimeout as pause } from "node:timers/promises";
import { eventBus, type InstanceRecord, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { TestServer } from "../support/etcd.ts";
import { startZooKeeper } from "../support/zookeeper.ts";
import { startZooKeeperMeter, type ZooKeeperMeter } from "../support/zookeeper-meter.ts";
import { NEVER, owner } from "./registry-case.ts";
import { follow } from "./registry-follower.ts";

const SERVICES = 1_000;
const OUTAGE_MS = 2_000;

let server: TestServer;
let meter: ZooKeeperMeter;
const opened: Registry[] = [];

beforeAll(async () => {
  server = await startZooKeeper();
  meter = await startZooKeeperMeter(server.endpoint);
});
afterAll(async () => {
  await Promise.all(opened.map((registry) => registry.close()));
  await meter?.close();
  await server?.stop();
});

async function open(endpoint: string): Promise<Registry> {
  const deps = { clock: systemClock, random: systemRandom, events: eventBus() };
  const registry = await openRegistry({ type: "zookeeper", hosts: [endpoint], prefix: "/storm", ttl: 20_000 }, deps);
  opened.push(registry);
  return registry;
}

it("1,000 watched services do not storm a server that is away, nor one that is back", async () => {
  const all = Array.from({ length: SERVICES }, (_, index): InstanceRecord => {
    const id = `s${index}`;
    return { service: id, id, instance: { host: "127.0.0.1", port: 80, id } };
  });
  await (await open(server.endpoint)).announce(owner("node-a", "b1"), all, NEVER);
  const watching = await open(meter.endpoint);
  const followers = all.map(({ service }) => follow(watching, service));
  const whole = (resets: number): boolean =>
    followers.every((follower) => follower.resets() >= resets && follower.names().length === 1);
  await until(() => whole(1), { what: "all watched" });
  expect(meter.take(), "one connection reads everything once").toMatchObject({ connections: 1 });

  meter.cut();
  await pause(OUTAGE_MS);
  const away = meter.take();
  meter.heal();
  await until(() => whole(2), { what: "all read again", timeoutMs: 20_000 });
  const back = meter.take();
  console.log(
    `${SERVICES} services: ${away.connections} attempts in an outage of ${OUTAGE_MS / 1_000} s, ` +
      `then ${back.connections} connection, ${back.requests} requests, ${back.busiest} at once at most`,
  );
  expect(away.connections).toBeLessThan(15);
  expect(back.connections).toBe(1);
  expect(back.busiest).toBeLessThanOrEqual(256 + 1);
  // The prefix, each service's folder and each instance once, the node entries and owners, some heartbeats.
  expect(back.requests).toBeLessThan(2 * SERVICES + 100);
  await Promise.all(followers.map((follower) => follower.stop()));
});

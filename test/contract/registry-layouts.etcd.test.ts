import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { etcdWrite, startEtcd, type TestServer } from "../support/etcd.ts";
import { NEVER, owner } from "./registry-case.ts";
import { type Follower, follow } from "./registry-follower.ts";

const opened: Registry[] = [];
const events = eventBus();
let server: TestServer;

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server?.stop());
afterEach(() => Promise.all(opened.splice(0).map((registry) => registry.close())));

async function open(layout: "docker-register" | "registrator" | "nerve", prefix: string): Promise<Registry> {
  const config: RegistryConfig = { type: "etcd", hosts: [server.endpoint], prefix, ttl: 3_000, layout };
  const registry = await openRegistry(config, { clock: systemClock, random: systemRandom, events });
  opened.push(registry);
  return registry;
}

const addresses = (follower: Follower): string[] =>
  [...follower.state().instances.values()].map(({ host, port }) => `${host} ${port}`).sort();

it("F12 follows docker-register's backends: their addresses, and the port to open for them", async () => {
  await etcdWrite(server.endpoint, "/backends/whoami/port", "8000");
  await etcdWrite(server.endpoint, "/backends/whoami/0123456789ab", "10.0.0.7:32768");
  const registry = await open("docker-register", "/backends");
  const follower = follow(registry, "whoami");
  await until(() => addresses(follower).join() === "10.0.0.7 32768", { what: "read" });
  expect([...follower.state().instances.values()][0]).toMatchObject({ listen: 8_000 });
  await etcdWrite(server.endpoint, "/backends/whoami/ba9876543210", "10.0.0.8:32769");
  await until(() => addresses(follower).length === 2, { what: "another one" });
  await etcdWrite(server.endpoint, "/backends/whoami/0123456789ab", undefined);
  await until(() => addresses(follower).join() === "10.0.0.8 32769", { what: "one gone" });
  for await (const names of registry.services(NEVER)) {
    expect(names).toEqual(["whoami"]);
    break;
  }
  await expect(registry.announce(owner("node-a", "b1"), [], NEVER)).rejects.toMatchObject({
    code: "REGISTRY_FAILED",
    retry: "never",
  });
  await follower.stop();
});

it("F12 follows registrator's services, IPv6 among them, and counts what is neither", async () => {
  const rejected: string[] = [];
  const stop = events.subscribe((event) => {
    if (event.name === "registry.document_rejected") rejected.push(event.data.service);
  });
  await etcdWrite(server.endpoint, "/services/web/host1:web.0:80", "10.0.0.7:32768");
  await etcdWrite(server.endpoint, "/services/web/host2:web.0:80", "[fd00::7]:80");
  await etcdWrite(server.endpoint, "/services/web/host3:web.0:80", "no address");
  const follower = follow(await open("registrator", "/services"), "web");
  await until(() => addresses(follower).join() === "10.0.0.7 32768,fd00::7 80", { what: "read" });
  expect(rejected).toEqual(["web"]);
  await etcdWrite(server.endpoint, "/services/web/host3:web.0:80", "10.0.0.9:80");
  await until(() => addresses(follower).length === 3, { what: "repaired" });
  stop();
  await follower.stop();
});

it("F12 follows nerve's own paths", async () => {
  const path = "/nerve/services/your_http_service/services/i-1/00000000000000000005";
  await etcdWrite(server.endpoint, path, '{"host":"10.0.0.7","port":80,"name":"i-1","weight":2}');
  const follower = follow(await open("nerve", "/nerve/services"), "your_http_service");
  await until(() => addresses(follower).join() === "10.0.0.7 80", { what: "read" });
  expect([...follower.state().instances.values()][0]).toMatchObject({ weight: 2, name: "i-1" });
  await etcdWrite(server.endpoint, path, undefined);
  await until(() => addresses(follower).length === 0, { what: "gone" });
  await follower.stop();
});

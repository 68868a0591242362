import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry, type RegistryConfig } from "@smartstack/registry";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { etcdctl, etcdWipe, etcdWrite, startEtcd, type TestServer } from "../support/etcd.ts";
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

it("F12 what others write with a ttl goes when that ends, and a folder goes as a whole", async () => {
  const granted = await etcdctl(server.endpoint, ["lease", "grant", "600"]);
  const lease = /lease ([0-9a-f]+) granted/.exec(granted)?.[1] ?? expect.fail(granted);
  await etcdctl(server.endpoint, ["put", "/ttl/web/dying", "10.0.0.7:80", `--lease=${lease}`]);
  await etcdWrite(server.endpoint, "/ttl/web/living", "10.0.0.8:80");
  await etcdWrite(server.endpoint, "/ttl/db/one", "10.0.0.9:5432");
  const registry = await open("registrator", "/ttl");
  const [web, db] = [follow(registry, "web"), follow(registry, "db")];
  await until(() => web.names().join() === "dying,living" && db.names().length === 1, { what: "read" });
  await etcdWipe(server.endpoint, "/ttl/db/");
  await until(() => db.names().length === 0, { what: "the folder is gone" });
  expect(web.names()).toContain("living");
  // What etcd itself does when a lease's time is over; a short one may be over before it was read.
  await etcdctl(server.endpoint, ["lease", "revoke", lease]);
  await until(() => web.names().join() === "living", { what: "its ttl ended" });
  await etcdWrite(server.endpoint, "/ttl/db/two", "10.0.0.9:5433");
  await until(() => db.names().join() === "two", { what: "the folder is back" });
  expect(web.resets() + db.resets(), "all on one watch").toBe(2);
  await Promise.all([web.stop(), db.stop()]);
});

it("F12 a port that comes last, changes or is junk, and an address too long to be one, end no watch", async () => {
  const write = (name: string, text: string): Promise<void> => etcdWrite(server.endpoint, `/late/web/${name}`, text);
  const follower = follow(await open("docker-register", "/late"), "web");
  const shown = (): string =>
    [...follower.state().instances]
      .map(([id, { host, listen }]) => `${id} ${host} ${listen}`)
      .sort()
      .join();
  await until(() => follower.batches.length > 0, { what: "watched" });
  await write("one", "10.0.0.7:80");
  await until(() => shown() === "one 10.0.0.7 undefined", { what: "no port yet" });
  await write("port", "8000");
  await until(() => shown() === "one 10.0.0.7 8000", { what: "the port" });
  await write("two", "[fd00::8]:80");
  await until(() => shown() === "one 10.0.0.7 8000,two fd00::8 8000", { what: "another" });
  for (const junk of [`${"a".repeat(20_000)}:80`, "10.0.0.9", "10.0.0.9:99999", ":80", "[]:80", "{}"])
    await write("junk", junk);
  for (const junk of ["no port", "0", "65536", "80.5"]) await write("port", junk);
  await until(() => shown() === "one 10.0.0.7 undefined,two fd00::8 undefined", { what: "no port any more" });
  await write("port", "9000");
  await write("junk", "10.0.0.9:80");
  await until(() => shown() === "junk 10.0.0.9 9000,one 10.0.0.7 9000,two fd00::8 9000", { what: "repaired" });
  expect(follower.resets()).toBe(1);
  expect(follower.history.every(({ instances }) => instances.get("junk")?.host !== "")).toBe(true);
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

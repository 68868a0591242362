import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type StackProcess, startStack } from "../e2e/support/stack.ts";
import { type OwnEngine, startDocker } from "../support/docker.ts";
import { etcdRead, type TestServer } from "../support/etcd.ts";
import { importNodeImage } from "../support/image.ts";
import { zookeeperRead } from "../support/zookeeper.ts";
import { PREFIX, registryConfig, type SharedRegistry, startRegistry } from "./support/stage.ts";

const NETWORK = "tasks";
/** For every task: this machine has no way into an overlay, so nobody probes it. */
const LABELS = ["smartstack.port=80", "smartstack.check=none"];
const READ_MS = 20_000;

let engine: OwnEngine;
const servers = new Map<SharedRegistry, TestServer>();
const nerves: StackProcess[] = [];

beforeAll(async () => {
  engine = await startDocker();
  await importNodeImage(engine);
  await engine.docker("swarm", "init", "--advertise-addr", engine.hostAddress);
  await engine.docker("network", "create", "--driver", "overlay", NETWORK);
  for (const registry of ["etcd", "zookeeper"] as const) {
    const server = await startRegistry(registry);
    servers.set(registry, server);
    const docker = { host: engine.host, node: registry, advertise: engine.hostAddress, conventions: ["compose"] };
    nerves.push(await startStack("nerve", { registry: registryConfig(registry, server.endpoint), docker }));
  }
});
afterAll(async () => {
  await Promise.all(nerves.map((nerve) => nerve.stop()));
  await Promise.all([...servers.values()].map((server) => server.stop()));
  engine.stop();
});

interface Task {
  /** The first 12 digits of its container's id. */
  readonly container: string;
  readonly name: string;
  readonly addresses: Readonly<Record<string, string>>;
}

/** The running tasks of the service, as the engine's own containers. */
async function tasks(service: string): Promise<readonly Task[]> {
  const filter = `label=com.docker.swarm.service.name=${service}`;
  const ids = (await engine.docker("ps", "--quiet", "--filter", filter)).split("\n").filter((id) => id !== "");
  const inspected = await Promise.all(ids.map((id) => engine.docker("inspect", "--format", "{{json .}}", id)));
  return inspected.map((text) => {
    const { Id, Config, NetworkSettings } = JSON.parse(text) as {
      Id: string;
      Config: { Labels: Record<string, string> };
      NetworkSettings: { Networks: Record<string, { IPAddress: string }> };
    };
    const addresses = Object.entries(NetworkSettings.Networks).map(([name, { IPAddress }]) => [name, IPAddress]);
    return {
      container: Id.slice(0, 12),
      name: Config.Labels["com.docker.swarm.task.name"] ?? "",
      addresses: Object.fromEntries(addresses),
    };
  });
}

/** What lies in a registry of a service, as `container host:port`. */
async function announced(registry: SharedRegistry, service: string): Promise<string[]> {
  const endpoint = servers.get(registry)?.endpoint ?? "";
  const path = `${PREFIX}/${service}`;
  const found = registry === "etcd" ? await etcdRead(endpoint, `${path}/`) : await zookeeperRead(endpoint, path);
  const documents = [...found.values()].map((text) => JSON.parse(text) as Record<string, unknown>);
  return documents.map(({ container, host, port }) => `${container} ${host}:${port}`).sort();
}

async function create(service: string, replicas: number, ...more: string[]): Promise<void> {
  const labels = [...LABELS, ...more].flatMap((text) => ["--container-label", text]);
  const place = ["--network", NETWORK, "--publish", "80", "--replicas", String(replicas), "--name", service];
  const serve = ["smartstack-test/web", "busybox", "httpd", "-f", "-p", "80"];
  await engine.docker("service", "create", "--detach", "--stop-signal", "KILL", ...labels, ...place, ...serve);
}

describe.concurrent.each(["etcd", "zookeeper"] as const)("swarm over %s", (registry) => {
  const service = `web-${registry}`;
  const isWhole = async (): Promise<boolean> => {
    const found = await tasks(service);
    const lines = found.map(({ container, addresses }) => `${container} ${addresses[NETWORK]}:80`);
    return found.length === 3 && (await announced(registry, service)).join() === lines.sort().join();
  };

  test("B17 three replicas: three entries, by task, under the name of the swarm's service, never in the ingress network", async () => {
    await create(service, 3, "smartstack.address=container", `smartstack.network=${NETWORK}`);
    await until(isWhole, { what: "three tasks are announced at their addresses", timeoutMs: READ_MS });
    const found = await tasks(service);
    expect(found.map(({ addresses }) => Object.keys(addresses).sort())).toEqual(Array(3).fill(["ingress", NETWORK]));
    expect(found.map(({ name }) => name.split(".").slice(0, 2).join(".")).sort()).toEqual(
      [1, 2, 3].map((slot) => `${service}.${slot}`),
    );
    await engine.docker("service", "rm", service);
    await until(async () => (await announced(registry, service)).length === 0, { what: "all are gone" });
  });

  test("B17 the ingress network asked for, and none: refused, with the reason", async () => {
    const [asked, unasked] = [`asked-${registry}`, `unasked-${registry}`];
    await create(asked, 1, "smartstack.address=container", "smartstack.network=ingress");
    await create(unasked, 1);
    const refusals = async (): Promise<string> => {
      const all = await Promise.all(nerves.map((nerve) => nerve.containers()));
      return all
        .flat()
        .flatMap((container) => container.refusals)
        .join("\n");
    };
    // What swarm publishes leads to any task of the service, not to this one.
    const wanted = [`${asked}: network ingress is swarm's own`, `${unasked}: port 80/tcp is not published`];
    await until(async () => includesAll(await refusals(), wanted), {
      what: "both are refused",
      timeoutMs: READ_MS,
    });
    expect([...(await announced(registry, asked)), ...(await announced(registry, unasked))]).toEqual([]);
    await engine.docker("service", "rm", asked, unasked);
  });
});

function includesAll(text: string, parts: readonly string[]): boolean {
  return parts.every((part) => text.includes(part));
}

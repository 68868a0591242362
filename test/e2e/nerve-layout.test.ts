import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { TestServer } from "../support/etcd.ts";
import { freePort } from "../support/ports.ts";
import { startZooKeeper, zookeeperRead, zookeeperWrite } from "../support/zookeeper.ts";
import { startStack } from "./support/stack.ts";

let server: TestServer;
const backends: Server[] = [];

beforeAll(async () => {
  server = await startZooKeeper();
});

afterAll(async () => {
  for (const backend of backends) backend.close();
  await server?.stop();
});

async function backend(name: string): Promise<{ readonly port: number; end(): void }> {
  const http = createServer((_, response) => response.end(name));
  backends.push(http);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    port: (http.address() as AddressInfo).port,
    end() {
      http.close();
      http.closeAllConnections();
    },
  };
}

it("nerve announces in the layout of Airbnb's, synapse serves what it and another nerve left there", async () => {
  const path = "/nerve/services/web/services";
  const [ours, theirs, listen] = [await backend("ours"), await backend("theirs"), await freePort()];
  const ensemble = { hosts: [server.endpoint], ttl: "4s" };
  const nerve = await startStack("nerve", {
    instance_id: "mymachine",
    registry: { type: "zookeeper-nerve", path: "/nerve/services/{service}/services", ...ensemble },
    services: {
      web: {
        host: "127.0.0.1",
        port: ours.port,
        check_interval: 0.2,
        checks: [{ type: "http", uri: "/", timeout: 2 }],
      },
    },
  });
  const synapse = await startStack("synapse", {
    registry: { type: "zookeeper", ...ensemble },
    services: {
      web: {
        discovery: { method: "zookeeper-nerve", path, ...ensemble },
        proxy: { listen: [`127.0.0.1:${listen}`], mode: "http" },
      },
    },
  });
  const answer = async (): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${listen}/`);
    return response.ok ? response.text() : `status ${response.status}`;
  };
  const answers = async (): Promise<string> =>
    [...new Set([await answer(), await answer(), await answer()])].sort().join();
  const left = async (): Promise<string> => [...(await zookeeperRead(server.endpoint, path))].flat().join();

  const payload = `{"host":"127.0.0.1","port":${ours.port},"name":"mymachine"}`;
  await until(async () => (await left()) === `mymachine_0000000000,${payload}`, { what: "announced, to the byte" });
  await until(async () => (await answers()) === "ours", { what: "served" });
  await zookeeperWrite(
    server.endpoint,
    `${path}/other_0000000001`,
    payload.replace(String(ours.port), String(theirs.port)),
  );
  await until(async () => (await answers()) === "ours,theirs", { what: "another nerve's served too" });
  ours.end();
  await until(async () => !(await left()).includes("mymachine_"), { what: "withdrawn when its check fails" });
  await until(async () => (await answers()) === "theirs", { what: "no longer served" });
  await zookeeperWrite(server.endpoint, `${path}/other_0000000001`, undefined);
  // Empty may mean deleted or forgotten: what is there last stays, and is probed.
  await until(async () => (await synapse.services())[0]?.backends[0]?.suspect === true, {
    what: "the last one is held",
  });
  expect(await answer()).toBe("theirs");
  await nerve.stop();
  await synapse.stop();
});

import { startZooKeeper, TICK_MS, zookeeperRead, zookeeperWipe, zookeeperWrite } from "../support/zookeeper.ts";
import { registryContract } from "./registry.suite.ts";
import { controlOf, openers } from "./registry-real-harness.ts";

const TTL_MS = 3_000;

registryContract("zookeeper", async () => {
  const server = await startZooKeeper();
  const { endpoint } = server;
  let cases = 0;
  return {
    ttlMs: TTL_MS,
    goneMs: TTL_MS + TICK_MS + 1_000,
    fresh() {
      const prefix = `/test/case${cases++}`;
      return {
        ...openers({ type: "zookeeper", hosts: [endpoint], prefix, ttl: TTL_MS }),
        server: controlOf(server),
        read: () => zookeeperRead(endpoint, prefix),
        foreign: (path, text) => zookeeperWrite(endpoint, `${prefix}/${path}`, text),
        wipe: () => zookeeperWipe(endpoint, prefix),
        done: () => zookeeperWipe(endpoint, prefix),
      };
    },
    stop: () => server.stop(),
  };
});

import { etcdRead, etcdWipe, etcdWrite, startEtcd } from "../support/etcd.ts";
import { registryContract } from "./registry.suite.ts";
import { controlOf, openers } from "./registry-real-harness.ts";

const TTL_MS = 3_000;

registryContract("etcd", async () => {
  const server = await startEtcd();
  const { endpoint } = server;
  let cases = 0;
  return {
    ttlMs: TTL_MS,
    goneMs: TTL_MS + 1_000,
    fresh() {
      const prefix = `/test/case${cases++}`;
      const withPrefix = (path: string): string => `${prefix}/${path}`;
      return {
        ...openers({ type: "etcd", hosts: [endpoint], prefix, ttl: TTL_MS }),
        server: controlOf(server),
        async read() {
          const found = await etcdRead(endpoint, `${prefix}/`);
          return new Map([...found].map(([key, value]) => [key.slice(prefix.length + 1), value]));
        },
        foreign: (path, text) => etcdWrite(endpoint, withPrefix(path), text),
        wipe: () => etcdWipe(endpoint, `${prefix}/`),
        done: () => etcdWipe(endpoint, `${prefix}/`),
      };
    },
    stop: () => server.stop(),
  };
});

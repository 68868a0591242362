import { eventBus, type Registry, systemClock } from "@smartstack/core";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll } from "vitest";
import type { Ensemble } from "../support/ensemble.ts";
import { startEtcdCluster } from "../support/etcd-cluster.ts";
import { ensembleSuite, TTL_MS } from "./registry-ensemble.suite.ts";

let cluster: Ensemble;

beforeAll(async () => {
  cluster = await startEtcdCluster();
});

afterAll(() => cluster?.stop());

function open(prefix: string, index: number): Promise<Registry> {
  // Each begins with another server.
  const deps = { clock: systemClock, random: () => (index % 3) / 3, events: eventBus() };
  return openRegistry({ type: "etcd", hosts: [...cluster.endpoints], prefix, ttl: TTL_MS }, deps);
}

ensembleSuite("F7 a cluster of three etcds", () => cluster, open);

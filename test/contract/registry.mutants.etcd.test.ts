import { setTimeout as pause } from "node:timers/promises";
import type { Batch, Registry } from "@smartstack/core";
import { expect, it } from "vitest";
import { etcdWipe, startEtcd } from "../support/etcd.ts";
import { REGISTRY_CASES, runCase } from "./registry.suite.ts";
import { NEEDS } from "./registry-cases-disruption.ts";
import type { RegistryHarness } from "./registry-harness.ts";
import { controlOf, openers } from "./registry-real-harness.ts";

// What the cases that need a process or a server to disturb must notice.

const TTL_MS = 3_000;

async function* tear(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  for await (const batch of batches) for (const update of batch) yield [update];
}

const MUTANTS: readonly {
  readonly name: string;
  readonly fails: string;
  readonly wrap: (registry: Registry) => Registry;
}[] = [
  {
    name: "tears a batch into single updates",
    fails: NEEDS.ownerProcess[0],
    wrap: (registry) => ({ ...registry, watch: (service, signal) => tear(registry.watch(service, signal)) }),
  },
  {
    name: "says that it is connected",
    fails: NEEDS.freeze[0],
    wrap: (registry) => ({ ...registry, status: () => ({ ...registry.status(), connected: true }) }),
  },
  {
    name: "takes 3 s to close",
    fails: NEEDS.freeze[1],
    wrap: (registry) => ({ ...registry, close: () => registry.close().then(() => pause(3_000)) }),
  },
];

it.concurrent.each(MUTANTS)("the registry suite notices an etcd that $name", async ({ fails, wrap }) => {
  const server = await startEtcd();
  const common = openers({ type: "etcd", hosts: [server.endpoint], prefix: "/mutant", ttl: TTL_MS });
  const harness: RegistryHarness = {
    ttlMs: TTL_MS,
    goneMs: TTL_MS + 1_000,
    fresh: () => ({
      ...common,
      open: async () => wrap(await common.open()),
      server: controlOf(server),
      read: async () => new Map(),
      foreign: async () => undefined,
      wipe: async () => undefined,
      done: () => etcdWipe(server.endpoint, "/mutant/"),
    }),
    stop: () => server.stop(),
  };
  const one = REGISTRY_CASES.find(({ name }) => name === fails);
  try {
    const outcome = one === undefined ? "no such case" : await runCase(one, harness).then(() => "passed", String);
    expect(outcome).toMatch(/Error/);
  } finally {
    await harness.stop();
  }
});

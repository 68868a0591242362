import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll } from "vitest";
import { type StackProcess, startStack } from "../../e2e/support/stack.ts";
import type { Engine } from "../../support/docker.ts";
import { type DockerProxy, startDockerProxy } from "../../support/docker-proxy.ts";
import { startEtcd, type TestServer } from "../../support/etcd.ts";
import { type Pauses, watchPauses } from "../../support/pauses.ts";
import { sharedEngine } from "../../support/shared-engine.ts";
import { startZooKeeper, TICK_MS } from "../../support/zookeeper.ts";
import { type EngineEvent, watchEngine } from "./engine-events.ts";
import { type Ledger, watchEtcd, watchZooKeeper } from "./ledger.ts";

export type SharedRegistry = "etcd" | "zookeeper";

export const PREFIX = "/smartstack/services";
export const TTL_MS = 3_000;
/** How long entries may outlive the death of their nerve: see the design's table of drivers. */
export const GONE_MS: Readonly<Record<SharedRegistry, number>> = {
  etcd: TTL_MS + 1_000,
  zookeeper: TTL_MS + TICK_MS + 1_000,
};
/** The label by which a file's common nerve finds its containers. */
export const COMMON = "smartstack-scenario.common";

/** What the scenarios of one file share: a real engine, a real registry, and one nerve over both. */
export interface Stage {
  readonly registry: SharedRegistry;
  readonly engine: Engine;
  readonly server: TestServer;
  /** Between the engine and nerve. */
  readonly proxy: DockerProxy;
  readonly nerve: StackProcess;
  readonly ledger: Ledger;
  readonly events: readonly EngineEvent[];
  readonly pauses: Pauses;
  /** Measured: from the engine's event to the registry, in ms. */
  readonly measured: { readonly add: number[]; readonly remove: number[] };
}

export function startRegistry(registry: SharedRegistry): Promise<TestServer> {
  return registry === "etcd" ? startEtcd() : startZooKeeper();
}

export function registryConfig(registry: SharedRegistry, endpoint: string): Readonly<Record<string, unknown>> {
  return { type: registry, hosts: [endpoint], prefix: PREFIX, ttl: `${TTL_MS}ms` };
}

/** Sets the stage for a file's scenarios, and says at the end what was measured. */
export function useStage(registry: SharedRegistry): () => Stage {
  let stage: Stage | undefined;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const engine = await sharedEngine();
    const server = await startRegistry(registry);
    closers.push(() => server.stop());
    const ledger = await (registry === "etcd" ? watchEtcd : watchZooKeeper)(server.endpoint, PREFIX);
    closers.push(() => ledger.close());
    const pauses = watchPauses();
    closers.push(async () => void pauses.stop());
    const watched = watchEngine(engine);
    closers.push(() => watched.close());
    const proxy = await startDockerProxy({ socket: engine.socket });
    closers.push(() => proxy.close());
    const nerve = await startStack("nerve", {
      registry: registryConfig(registry, server.endpoint),
      docker: {
        host: proxy.host,
        node: `common-${registry}`,
        advertise: engine.hostAddress,
        filter: { label: COMMON },
        conventions: ["registrator", "compose"],
      },
      // Events alone must do: nothing here may be found by the comparison with the list.
      reconcile: "1h",
    });
    closers.push(() => nerve.stop());
    await until(async () => (await nerve.ready()).status === 200, { what: "nerve is ready", timeoutMs: 15_000 });
    const measured = { add: [], remove: [] };
    stage = { registry, engine, server, proxy, nerve, ledger, events: watched.events, pauses, measured };
  });

  afterAll(async () => {
    for (const close of closers.reverse()) await close();
    if (stage === undefined) return;
    const { add, remove } = stage.measured;
    process.stdout.write(`nerve over ${registry}: added ${summary(add)}, removed ${summary(remove)}\n`);
  });

  return () => {
    if (stage === undefined) throw new Error("the stage is not set yet");
    return stage;
  };
}

function summary(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
  return `${sorted.length} times in ${at(0.5)} ms (median), ${at(1)} ms (worst)`;
}

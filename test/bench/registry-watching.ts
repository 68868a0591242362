import { until } from "@smartstack/core/testing";
import type { RegistryConfig } from "@smartstack/registry";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { startWatcher, type Watcher, type WatcherReport } from "../support/registry-watcher.ts";
import { usageOf } from "../support/usage.ts";

const LOAD_MS_MAX = 120_000;

export interface Watched {
  readonly loadedMs: number;
  /** From the start of the process until then. */
  readonly cpuMs: number;
  /** Resident before the registry was opened, after everything was loaded, and at its highest until then. */
  readonly before: number;
  readonly loaded: number;
  readonly peakBytes: number;
  readonly direct: Watcher;
  /** Another one, whose bytes are counted. */
  readonly relayed: Watcher;
  readonly relay: FaultProxy;
  readonly stop: () => Promise<void>;
}

/** Two watching processes that have loaded everything: one that is measured, and one whose traffic is. */
export async function measureWatcher(config: RegistryConfig, endpoint: string, expects: number): Promise<Watched> {
  const direct = startWatcher(config, { expects });
  const first = await loaded(direct);
  const { peakBytes, cpuMs } = usageOf(direct.pid);
  const relay = await startFaultProxy(endpoint);
  const relayed = startWatcher({ ...config, hosts: [relay.endpoint] } as RegistryConfig, { expects });
  await loaded(relayed);
  return {
    ...{ loadedMs: first.loadedMs ?? Number.NaN, cpuMs, peakBytes, direct, relayed, relay },
    before: first.atFirst.residentBytes,
    loaded: first.usage.residentBytes,
    async stop() {
      await Promise.all([direct.stop(), relayed.stop()]);
      await relay.close();
    },
  };
}

function loaded(watcher: Watcher): Promise<WatcherReport> {
  const whole = async (): Promise<WatcherReport | false> => {
    const report = await watcher.report();
    return report.loadedMs !== undefined && report;
  };
  // Each look costs the process a collection of garbage.
  return until(whole, { what: "everything is loaded", timeoutMs: LOAD_MS_MAX, everyMs: 1_000 });
}

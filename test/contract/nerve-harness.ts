import { decodeInstance, eventBus, type Instance, type StackEvent, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { createNerve, dockerConfig, dockerEngines, type Nerve, nerveConfig } from "@smartstack/nerve";
import { type MemoryStore, memoryRegistry, memoryStore } from "../../packages/registry/src/memory.ts";

export interface NerveRun {
  readonly nerve: Nerve;
  readonly store: MemoryStore;
  readonly events: readonly StackEvent[];
  /** The instances that lie in the registry, by `service/id`, read past the driver. */
  entries(): ReadonlyMap<string, Instance>;
  /** Waits until the service has exactly this many instances. */
  offered(service: string, count: number, timeoutMs?: number): Promise<readonly Instance[]>;
  /** The verdict on a container, once there is one. */
  status(idOrName: string): ReturnType<Nerve["containers"]>[number] | undefined;
  stop(mode?: "keep" | "withdraw"): Promise<void>;
}

export interface NerveRunOptions {
  /** One engine, or several with the same options. */
  readonly host: string | readonly string[];
  readonly docker?: Partial<Parameters<typeof dockerConfig.parse>[0] & object>;
  readonly nerve?: unknown;
  readonly store?: MemoryStore;
  readonly shared?: boolean;
  readonly registryHosts?: readonly string[];
}

/** A nerve on a real (or doubled) engine, announcing into memory. */
export function runNerve(options: NerveRunOptions): NerveRun {
  const store = options.store ?? memoryStore();
  const bus = eventBus();
  const events: StackEvent[] = [];
  bus.subscribe((event) => events.push(event));
  const deps = { clock: systemClock, random: systemRandom, events: bus };
  const registry = memoryRegistry(deps, store);
  const hosts = typeof options.host === "string" ? [options.host] : options.host;
  const sections = hosts.map((host) => dockerConfig.parse({ host, ...options.docker }));
  const nerve = createNerve(
    { engines: dockerEngines(sections, {}), nerve: nerveConfig.parse(options.nerve ?? {}) },
    { registry, ...deps, shared: options.shared ?? false, registryHosts: options.registryHosts ?? [] },
  );
  nerve.start();
  const entries = (): ReadonlyMap<string, Instance> => instancesOf(store);
  return {
    nerve,
    store,
    events,
    entries,
    offered: (service, count, timeoutMs = 10_000) =>
      until(
        () => {
          const found = [...entries()].filter(([key]) => key.startsWith(`${service}/`)).map(([, instance]) => instance);
          return found.length === count ? found : undefined;
        },
        { what: `${count} instances of ${service}`, timeoutMs, everyMs: 5 },
      ),
    status: (idOrName) =>
      nerve.containers().find((container) => container.name === idOrName || container.id.startsWith(idOrName)),
    async stop(mode = "withdraw") {
      await nerve.stop(mode);
      await registry.close();
    },
  };
}

function instancesOf(store: MemoryStore): ReadonlyMap<string, Instance> {
  const found = new Map<string, Instance>();
  for (const [path, held] of store.entries) {
    if (!path.startsWith(".nodes/")) found.set(path, decodeInstance(held.text));
  }
  return found;
}

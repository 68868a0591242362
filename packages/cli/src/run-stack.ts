import { availableParallelism } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { type Admin, type AdminSources, createAdmin } from "@smartstack/admin";
import {
  type Clock,
  type ContainerStatus,
  type ErrorSide,
  type EventBus,
  type Random,
  type Readiness,
  type ServiceStatus,
  type StackStatus,
  withDeadline,
} from "@smartstack/core";
import { createNerve, type Nerve } from "@smartstack/nerve";
import { createProxy, createWorkers, type HealthListener, type Workers } from "@smartstack/proxy";
import { serversOf } from "@smartstack/registry";
import { createSynapse, type Synapse } from "@smartstack/synapse";
import { maskedConfig, type StackConfig } from "./config.ts";
import { type RegistryPool, registryPool } from "./registry-pool.ts";
import { unseenBy } from "./unseen.ts";

export interface StackDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly version: string;
  /** Something could not be stopped in time; the stop goes on. */
  readonly onStopFailure: (part: string, error: unknown) => void;
}

/** The parts of one process, built from one configuration. */
export interface Stack {
  start(): Promise<void>;
  /** Takes what can change at run time; returns the keys that need a restart to change. */
  reconfigure(config: StackConfig): readonly string[];
  status(): StackStatus;
  readiness(service?: string): readonly Readiness[];
  services(): readonly ServiceStatus[];
  containers(): readonly ContainerStatus[];
  /** Begins to put new workers in the place of the present ones; false when there are none. */
  replaceWorkers(): boolean;
  /** Ends the processes of this one, as it is about to end itself. */
  killWorkers(): void;
  /** Drains synapse, then stops nerve by its on_stop, then lets go of the registries. Never rejects. Idempotent. */
  stop(): Promise<void>;
}

interface Parts {
  readonly nerve: Nerve | undefined;
  readonly synapse: Synapse | undefined;
  readonly admin: Admin | undefined;
  readonly registries: RegistryPool;
}

/** Keys of a configuration that are read at the start only. */
const KEPT = ["registry", "admin", "log"] as const;

const NERVE_STOP_MS = 4_000;
const ADMIN_STOP_MS = 2_000;
const REGISTRY_STOP_MS = 3_000;
const DRAIN_SLACK_MS = 2_000;

/** @throws when a registry's driver cannot be loaded. Nothing is started yet. */
export async function createStack(initial: StackConfig, deps: StackDeps): Promise<Stack> {
  const { clock } = deps;
  let config = initial;
  const startedMs = clock.now();
  const registries = registryPool(deps);
  const nerve = await nerveOf(initial, registries, deps);
  const workers = workersOf(initial, deps, (change) => synapse?.onHealth(change));
  const synapse = synapseOf(initial, registries, deps, workers);
  let stopping: Promise<void> | undefined;

  const readiness = (service?: string): readonly Readiness[] => {
    if (stopping !== undefined) return [{ part: "process", ready: false, reason: "stopping" }];
    const all = [...(nerve?.readiness() ?? []), ...(synapse?.readiness() ?? [])];
    if (service === undefined) return all.filter(({ part }) => !part.startsWith("service:"));
    const known = all.filter(({ part }) => part === `service:${service}`);
    return known.length > 0 ? known : [serviceReadiness(service, nerve?.containers() ?? [])];
  };
  const status = (): StackStatus => {
    const node = nerve?.node();
    return {
      role: config.role,
      version: deps.version,
      startedMs,
      ...(node === undefined ? {} : { node }),
      registries: registries.opened().map((registry) => registry.status()),
      readiness: readiness(),
      unseen: unseenBy(config),
      ...(workers === undefined ? {} : { workers: workers.workers() }),
    };
  };
  const services = (): readonly ServiceStatus[] => synapse?.services() ?? [];
  const containers = (): readonly ContainerStatus[] => nerve?.containers() ?? [];
  const admin = adminOf(initial, deps, {
    status,
    readiness,
    services,
    containers,
    // nerve's word reaches everyone; without a nerve for it, it is this proxy's own.
    setState: (service, id, state, forMs) =>
      (nerve?.setState(service, id, state, forMs) ?? false) ||
      (synapse?.setLocalState(service, id, state === "up" ? undefined : state, forMs) ?? false),
    config: () => maskedConfig(config),
  });
  return {
    readiness,
    status,
    services,
    containers,
    async start() {
      nerve?.start();
      await Promise.all([synapse?.start(), admin?.start()]);
    },
    reconfigure(next) {
      const fixed: string[] = KEPT.filter((key) => !isDeepStrictEqual(next[key], config[key]));
      if (next.nerve !== undefined) fixed.push(...(nerve?.reconfigure(next.nerve) ?? []));
      if (next.synapse?.workers !== config.synapse?.workers) fixed.push("workers");
      if (next.synapse !== undefined) synapse?.reconfigure(next.synapse);
      config = { ...next, registry: config.registry, admin: config.admin, log: config.log };
      return fixed;
    },
    killWorkers: () => workers?.kill(),
    replaceWorkers() {
      void workers?.replaceAll();
      return workers !== undefined;
    },
    stop() {
      stopping ??= stopParts({ nerve, synapse, admin, registries }, config, deps);
      return stopping;
    },
  };
}

function adminOf(config: StackConfig, deps: StackDeps, sources: AdminSources): Admin | undefined {
  if (config.admin === undefined) return undefined;
  const { listen, token } = config.admin;
  return createAdmin({ ...deps, listen, sources, ...(token === undefined ? {} : { token }) });
}

async function nerveOf(config: StackConfig, registries: RegistryPool, deps: StackDeps): Promise<Nerve | undefined> {
  if (config.nerve === undefined) return undefined;
  const { registry } = config;
  // A registry that is reached over the network is one for several machines.
  const hosts = serversOf(registry);
  return createNerve(config.nerve, {
    ...deps,
    registry: await registries.get(registry),
    shared: hosts !== undefined,
    registryHosts: hosts ?? [],
  });
}

function workersOf(config: StackConfig, deps: StackDeps, onHealth: HealthListener): Workers | undefined {
  if (config.synapse?.workers === undefined) return undefined;
  const { workers, worker_drain } = config.synapse;
  const count = workers === "auto" ? availableParallelism() : workers;
  return createWorkers({ ...deps, workers: count, retireMs: worker_drain, onHealth });
}

function synapseOf(
  config: StackConfig,
  registries: RegistryPool,
  deps: StackDeps,
  workers: Workers | undefined,
): Synapse | undefined {
  if (config.synapse === undefined) return undefined;
  const proxy = workers ?? createProxy({ ...deps, onHealth: (change) => synapse.onHealth(change) });
  const synapse: Synapse = createSynapse(config.synapse, {
    ...deps,
    proxy,
    registryFor: (discovery) => registries.get(discovery ?? config.registry),
    defaultDiscover: config.role === "up" ? "*" : "off",
  });
  return synapse;
}

/** Of a service that no proxy here serves: whether this nerve offers an instance of it. */
function serviceReadiness(service: string, containers: readonly ContainerStatus[]): Readiness {
  const own = containers.flatMap(({ registrations }) => registrations).filter((each) => each.service === service);
  const ready = own.some((each) => each.announced && each.health === "up");
  const reason = own.length === 0 ? "no such service is known here" : own.map((each) => each.reason).join("; ");
  return { part: `service:${service}`, ready, reason };
}

async function stopParts(parts: Parts, config: StackConfig, deps: StackDeps): Promise<void> {
  const end = async (what: string, side: ErrorSide, ms: number, work: Promise<unknown> | undefined): Promise<void> => {
    try {
      if (work !== undefined) await withDeadline(work, { clock: deps.clock, ms, what: `stop of ${what}`, side });
    } catch (error) {
      deps.onStopFailure(what, error);
    }
  };
  const graceMs = (config.synapse?.shutdown_grace ?? 0) + DRAIN_SLACK_MS;
  await end("synapse", "self", graceMs, parts.synapse?.stop());
  await end("nerve", "self", NERVE_STOP_MS, parts.nerve?.stop());
  await end("admin", "self", ADMIN_STOP_MS, parts.admin?.close());
  await end("registry", "registry", REGISTRY_STOP_MS, parts.registries.close());
}

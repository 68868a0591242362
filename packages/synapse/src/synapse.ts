import {
  type Cancel,
  type Clock,
  type EventBus,
  every,
  type InstanceState,
  type Random,
  type Readiness,
  type Registry,
  type ServiceStatus,
  sleep,
} from "@smartstack/core";
import type { Proxy as DataPlane, HealthListener, Snapshot } from "@smartstack/proxy";
import type { RegistryConfig } from "@smartstack/registry";
import { type Cache, openCache } from "./cache.ts";
import { coalesce, type Pace } from "./coalesce.ts";
import type { SynapseConfig } from "./config.ts";
import { type Discovery, discoveryKey } from "./discovery-config.ts";
import { readinessOf } from "./readiness.ts";
import { NO_ROUTES, nextRoutes, type Routes } from "./routes.ts";
import { serviceSet } from "./service-set.ts";
import { serviceStatus } from "./service-status.ts";
import { type RegistryLink, registryLink } from "./service-watch.ts";

/** One change is applied at once; a storm of them, a second long, in about ten snapshots. */
const APPLY_PACE: Pace = { shortestMs: 10, longestMs: 200 };
const TICK_MS = 1_000;
const BIND_WAIT_MS = 2_000;
const WATCHES_END_MS = 2_000;

export interface SynapseDeps {
  /** Opens, or shares, the registry of a discovery; undefined means the default one. */
  readonly registryFor: (discovery: RegistryConfig | undefined) => Promise<Registry>;
  readonly proxy: DataPlane;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /** What `discover` means where the config does not say. */
  readonly defaultDiscover: "*" | "off";
}

export interface StopOptions {
  /** Instead of the configured shutdown_grace, milliseconds. */
  readonly graceMs?: number;
}

export interface Synapse {
  /**
   * Serves what is known (cache, default servers) at once and keeps reading the registry from then on. Resolves when the
   * first listeners are bound or have failed, at the latest after 2 s. Does not reject for a registry that is away.
   */
  start(): Promise<void>;
  /** The proxy's status merged with what the registry knows, and why; sorted by name. */
  services(): readonly ServiceStatus[];
  /** One part "registry", and one part "service:<name>" per service: ready with at least one usable backend. */
  readiness(): readonly Readiness[];
  /** To be given to createProxy: a suspect leaves when the proxy finds it down. */
  readonly onHealth: HealthListener;
  /** An operator's word for this proxy alone; undefined takes it back, and so does the end of `forMs`. */
  setLocalState(service: string, id: string, state: InstanceState | undefined, forMs?: number): boolean;
  /** Takes a new config; what it does not concern goes on untouched. */
  reconfigure(config: SynapseConfig): void;
  /** Drains the proxy, writes the cache, lets go of the watches (not of the registries: whoever opened them closes them). */
  stop(options?: StopOptions): Promise<void>;
}

/** Watches the registry and keeps the proxy supplied. Nothing happens before start(). */
export function createSynapse(initial: SynapseConfig, deps: SynapseDeps): Synapse {
  const { proxy, clock, events } = deps;
  let config = initial;
  let routes: Routes = NO_ROUTES;
  let applied: Snapshot | undefined;
  let started = false;
  let listed: readonly string[] = [];
  let cache: { readonly folder: string; readonly store: Cache } | undefined;
  let stopTicking: Cancel | undefined;
  let discovering: AbortController | undefined;
  let stopping: Promise<void> | undefined;
  const links = new Map<string, RegistryLink>();
  const localUntil = new Map<string, Cancel>();
  // Loading a registry's client holds the process up for some tenths of a second: what is known is served before that.
  let nowServing: () => void = () => undefined;
  const serving = new Promise<void>((resolve) => {
    nowServing = resolve;
  });

  const services = serviceSet({
    clock,
    events,
    linkFor,
    onChange() {
      cache?.store.changed();
      if (started) applying.request();
    },
  });
  const applying = coalesce(clock, APPLY_PACE, apply);

  function linkFor(discovery: Discovery): RegistryLink {
    const key = discoveryKey(discovery);
    const known = links.get(key);
    if (known !== undefined) return known;
    const own = discovery.method === "own" ? discovery.registry : undefined;
    const open = (): Promise<Registry> => serving.then(() => deps.registryFor(own));
    const link = registryLink(open, own?.type ?? "default registry", deps);
    links.set(key, link);
    return link;
  }

  function apply(): void {
    const before = routes;
    routes = nextRoutes(services.wanted(), config.listen_ports, before, clock.monotonic());
    for (const [service, problems] of routes.problems) {
      const known = before.problems.get(service) ?? [];
      for (const reason of problems.filter((problem) => !known.includes(problem)))
        events.publish("service.conflict", { service, reason });
    }
    const { max_connections: clientsMax, shed: shedLagMs } = config;
    const same = applied?.clientsMax === clientsMax && applied?.shedLagMs === shedLagMs;
    if (applied?.services === routes.specs && same) return;
    applied = {
      revision: (applied?.revision ?? 0) + 1,
      services: routes.specs,
      ...(clientsMax === undefined ? {} : { clientsMax }),
      ...(shedLagMs === undefined ? {} : { shedLagMs }),
    };
    proxy.apply(applied);
    const { revision } = applied;
    const backends = routes.specs.reduce((sum, spec) => sum + spec.backends.length, 0);
    events.publish("view.applied", { revision, services: routes.specs.length, backends });
  }

  function globs(): readonly string[] {
    return config.discover ?? (deps.defaultDiscover === "*" ? ["*"] : []);
  }

  function sync(): void {
    const inUse = new Set(routes.specs.map((spec) => spec.name));
    services.sync(config, globs(), listed, (name) => inUse.has(name));
    if (started) applying.request();
  }

  function discover(): void {
    if (globs().length > 0 === (discovering !== undefined)) return;
    discovering?.abort();
    discovering = undefined;
    if (globs().length === 0) return;
    discovering = new AbortController();
    // The last list stays in force while none can be read.
    const onNews = (names: readonly string[]): void => {
      listed = names;
      sync();
    };
    const open = (registry: Registry, signal: AbortSignal) => registry.services(signal);
    void linkFor({ method: "registry" }).read({ open, onNews }, discovering.signal);
  }

  function tick(): void {
    services.tick();
    sync();
  }

  async function openConfiguredCache(): Promise<void> {
    if (cache?.folder === config.cache) return;
    await cache?.store.close();
    const folder = config.cache;
    cache = folder === undefined ? undefined : { folder, store: openCache(folder, services.instances, deps) };
  }

  function setLocalState(service: string, id: string, state: InstanceState | undefined, forMs?: number): boolean {
    const key = `${service}/${id}`;
    if (!proxy.setLocalState(service, id, state)) return false;
    localUntil.get(key)?.();
    localUntil.delete(key);
    if (state === undefined || forMs === undefined) return true;
    const end = (): void => {
      localUntil.delete(key);
      proxy.setLocalState(service, id, undefined);
    };
    localUntil.set(key, clock.after(forMs, end, { background: true }));
    return true;
  }

  async function shutDown(graceMs: number): Promise<void> {
    stopTicking?.();
    discovering?.abort();
    for (const cancel of localUntil.values()) cancel();
    applying.stop();
    const ended = new AbortController();
    await Promise.all([
      Promise.race([services.close(), sleep(clock, WATCHES_END_MS, ended.signal)]),
      cache?.store.close(),
      proxy.close({ graceMs, acceptWhileDraining: config.stop_accepting !== "at_once" }),
    ]);
    ended.abort();
    nowServing();
  }

  function statuses(): readonly ServiceStatus[] {
    const times = { nowMs: clock.monotonic(), wallOffsetMs: clock.now() - clock.monotonic() };
    const proxied = new Map(proxy.status().map((status) => [status.name, status]));
    const specs = new Map(routes.specs.map((spec) => [spec.name, spec]));
    return [...services.wanted()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ name, view }) => {
        const [spec, status] = [specs.get(name), proxied.get(name)];
        return serviceStatus({ name, view, spec, proxy: status, problems: routes.problems.get(name) ?? [] }, times);
      });
  }

  return {
    async start() {
      await openConfiguredCache();
      const cached = (await cache?.store.load()) ?? new Map();
      listed = [...cached.keys()];
      sync();
      services.remember(cached);
      // Everything that is known before the first answer of a registry goes into one snapshot.
      started = true;
      applying.request();
      discover();
      stopTicking = every(clock, TICK_MS, tick);
      const bound = new AbortController();
      await Promise.race([proxy.settled(), sleep(clock, BIND_WAIT_MS, bound.signal)]);
      bound.abort();
      nowServing();
    },
    services: statuses,
    readiness: () => readinessOf([...links.values()], statuses(), clock.monotonic()),
    onHealth: ({ service, key, up }) => services.health(service, key, up),
    setLocalState,
    reconfigure(next) {
      config = next;
      void openConfiguredCache().then(() => cache?.store.changed());
      discover();
      sync();
    },
    stop(options = {}) {
      const graceMs = options.graceMs ?? config.shutdown_grace;
      if (stopping === undefined) stopping = shutDown(graceMs);
      else if (options.graceMs !== undefined)
        stopping = Promise.all([stopping, proxy.close({ graceMs })]).then(() => {});
      return stopping;
    },
  };
}

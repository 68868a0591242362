import type { Batch, Clock, EventBus, Instance } from "@smartstack/core";
import { addressText } from "./address.ts";
import { DISCOVERED, type ServiceConfig, type SynapseConfig } from "./config.ts";
import { discoveredNames } from "./discover.ts";
import { type Discovery, discoveryKey } from "./discovery-config.ts";
import type { WantedService } from "./routes.ts";
import type { RegistryLink } from "./service-watch.ts";
import { type Fact, initialView, knownInstances, nextView, type ServiceView, type ViewInput } from "./view.ts";

/** A suspect is probed this often by the proxy, whatever its check says. */
const SUSPECT_PROBE_MS = 1_000;

const BY_DEFAULT: Discovery = { method: "registry" };

interface Entry {
  readonly name: string;
  /** Undefined for a discovered service. */
  config: ServiceConfig | undefined;
  /** Undefined for a fixed pool. */
  view: ServiceView | undefined;
  /** Made anew when one of the above, or the zone, is another. */
  wanted: WantedService | undefined;
  watch: { readonly key: string; readonly abort: AbortController } | undefined;
}

export interface ServiceSetDeps {
  readonly clock: Clock;
  readonly events: EventBus;
  readonly linkFor: (discovery: Discovery) => RegistryLink;
  /** Something that the proxy or the cache must learn of has changed. */
  readonly onChange: () => void;
}

/** The services in force, each with its view and its watch. */
export interface ServiceSet {
  /** Takes config and discovery as they are now: begins, moves and ends watches. `inUse` = it still has a listener. */
  sync(
    config: SynapseConfig,
    globs: readonly string[],
    listed: readonly string[],
    inUse: (name: string) => boolean,
  ): void;
  /** Instances remembered from an earlier run, for services in force that know nothing yet. */
  remember(cached: ReadonlyMap<string, ReadonlyMap<string, Instance>>): void;
  health(name: string, id: string, up: boolean): void;
  /** Lets time pass: holds end, failed suspects leave. */
  tick(): void;
  wanted(): readonly WantedService[];
  instances(): ReadonlyMap<string, ReadonlyMap<string, Instance>>;
  close(): Promise<void>;
}

export function serviceSet(deps: ServiceSetDeps): ServiceSet {
  const { clock, events, linkFor, onChange } = deps;
  const entries = new Map<string, Entry>();
  const readings = new Set<Promise<void>>();
  let holdMs = 0;
  let zone: string | undefined;

  function step(entry: Entry, input: ViewInput): void {
    if (entry.view === undefined) return;
    const fallMs = (entry.config?.proxy ?? DISCOVERED).check.fall * SUSPECT_PROBE_MS;
    const next = nextView(entry.view, input, { nowMs: clock.monotonic(), holdMs, fallMs });
    if (next.view === entry.view) return;
    entry.view = next.view;
    for (const fact of next.facts) publish(events, entry.name, fact);
    onChange();
  }

  function onBatch(entry: Entry, batch: Batch): void {
    step(entry, { type: "batch", batch });
    let owners: ReadonlyMap<string, string> | undefined;
    for (const other of entries.values()) {
      if (other === entry || !isSuspected(other)) continue;
      owners ??= ownersOf([entry]);
      step(other, { type: "claimed", owners });
    }
    if (!isSuspected(entry)) return;
    const others = [...entries.values()].filter((other) => other !== entry);
    step(entry, { type: "claimed", owners: ownersOf(others) });
  }

  function watch(entry: Entry): void {
    const discovery = entry.config?.discovery ?? BY_DEFAULT;
    const key = discoveryKey(discovery);
    if (entry.watch?.key === key) return;
    entry.watch?.abort.abort();
    if (discovery.method === "base") {
      entry.view = undefined;
      entry.watch = undefined;
      return;
    }
    if (entry.view === undefined) entry.view = initialView(clock.monotonic());
    else step(entry, { type: "moved" });
    const abort = new AbortController();
    entry.watch = { key, abort };
    const reading = linkFor(discovery).read<Batch>(
      {
        open: (registry, signal) => registry.watch(entry.name, signal),
        onNews: (batch) => onBatch(entry, batch),
        onAway: (reason) => step(entry, { type: "unread", reason }),
      },
      abort.signal,
    );
    readings.add(reading);
    void reading.finally(() => readings.delete(reading));
  }

  return {
    sync(config, globs, listed, inUse) {
      holdMs = config.hold;
      zone = config.zone;
      const fixed = new Map(Object.entries(config.services));
      const found = new Set(discoveredNames(globs, listed));
      const mayStay = new Set(discoveredNames(globs, entries.keys()));
      for (const [name, entry] of entries) {
        // Only a discovered service's listener outlives its instances: whoever takes a service out of the file wants its port.
        const listens = entry.config === undefined && inUse(name);
        const busy = listens || (entry.view !== undefined && knownInstances(entry.view).size > 0);
        if (fixed.has(name) || found.has(name) || (mayStay.has(name) && busy)) continue;
        entry.watch?.abort.abort();
        entries.delete(name);
        onChange();
      }
      for (const name of new Set([...fixed.keys(), ...found])) {
        const known = entries.get(name);
        const entry = known ?? { name, config: undefined, view: undefined, wanted: undefined, watch: undefined };
        entry.config = fixed.get(name);
        entries.set(name, entry);
        if (known === undefined && entry.config === undefined) events.publish("service.discovered", { service: name });
        watch(entry);
      }
      // A service that left the config file but is discovered, or still busy, changes its registry too.
      for (const entry of entries.values()) {
        if (fixed.has(entry.name) || found.has(entry.name)) continue;
        entry.config = undefined;
        watch(entry);
      }
    },
    remember(cached) {
      for (const [name, instances] of cached) {
        const entry = entries.get(name);
        if (entry !== undefined) step(entry, { type: "cached", instances });
      }
    },
    health(name, id, up) {
      const entry = entries.get(name);
      if (entry !== undefined) step(entry, { type: "health", id, up });
    },
    tick() {
      for (const entry of entries.values()) step(entry, { type: "tick" });
    },
    wanted() {
      return [...entries.values()].map((entry) => {
        const { name, config, view, wanted } = entry;
        const proxy = config?.proxy ?? DISCOVERED;
        const fixed = config !== undefined;
        if (wanted?.proxy === proxy && wanted.view === view && wanted.zone === zone && wanted.fixed === fixed)
          return wanted;
        entry.wanted = { name, fixed, proxy, defaultServers: config?.default_servers ?? [], zone, view };
        return entry.wanted;
      });
    },
    instances() {
      const all = [...entries.values()].flatMap(({ name, view }) => {
        const known = view === undefined ? undefined : knownInstances(view);
        return known === undefined || known.size === 0 ? [] : [[name, known] as const];
      });
      return new Map(all);
    },
    async close() {
      for (const entry of entries.values()) entry.watch?.abort.abort();
      await Promise.all(readings);
    },
  };
}

function isSuspected(entry: Entry): boolean {
  return entry.view !== undefined && entry.view.suspects.size > 0;
}

/** Which address is announced under which id. */
function ownersOf(entries: readonly Entry[]): ReadonlyMap<string, string> {
  const instances = entries.flatMap(({ view }) => [...(view?.entries.instances ?? [])]);
  return new Map(instances.map(([id, { host, port }]) => [addressText(host, port), id]));
}

function publish(events: EventBus, service: string, fact: Fact): void {
  const { id, instance, reason } = fact;
  const address = addressText(instance.host, instance.port);
  if (fact.kind === "added") events.publish("backend.added", { service, id, address });
  else if (fact.kind === "removed") events.publish("backend.removed", { service, id, address, reason });
  else if (fact.kind === "suspect") events.publish("backend.suspect", { service, id, address, reason });
  else events.publish("backend.state", { service, id, state: instance.state ?? "up", reason });
}

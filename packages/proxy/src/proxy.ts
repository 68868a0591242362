import { isDeepStrictEqual } from "node:util";
import type { Clock, EventBus, Random } from "@smartstack/core";
import { acceptProxy } from "./accept-proxy.ts";
import { admitSource } from "./admit-source.ts";
import type { Agent } from "./agent-word.ts";
import { type Bind, listenKey } from "./bind.ts";
import { changedServices } from "./changed-services.ts";
import type { Probe } from "./checker.ts";
import { type Claim, createClaims } from "./claims.ts";
import { closeServices } from "./close.ts";
import type { Proxy as DataPlane, HealthListener, ProxyServiceStatus } from "./data-plane.ts";
import type { StreamHandle } from "./handles.ts";
import { serveHttp } from "./http/connection.ts";
import { openListener } from "./listener.ts";
import { type Opening, PLAIN } from "./opening.ts";
import { createPool } from "./pool.ts";
import { createProbe } from "./probes/index.ts";
import { createService, type Service, type Surroundings } from "./service.ts";
import { processCpuMs, type Shedding, watchLoop } from "./shedding.ts";
import { DEFAULT_CLIENTS_MAX, type ListenAddress, type ServiceSpec, type Snapshot } from "./snapshot.ts";
import { serveTcp } from "./tcp.ts";
import { createTimerWheel } from "./timer-wheel.ts";
import type { Wire } from "./wire.ts";

export interface ProxyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /** Told of every turn of a backend's health. */
  readonly onHealth?: HealthListener;
  /** Between attempts to bind an address that cannot be bound now; default 1 s, jittered down to half. */
  readonly retryListenMs?: number;
  /** Where listening sockets come from; default: bound in this process. */
  readonly bind?: (key: string, ...args: Parameters<Bind>) => Promise<void>;
  /** A connection accepted under this listener key may go to another process: true = it did. */
  readonly handOver?: (key: string, handle: StreamHandle) => boolean;
  /** Probes backends; default: a connect, or a GET. `elsewhere`: another process does, and tells. */
  readonly probe?: Probe | "elsewhere";
  /** Told when this process begins to turn away what it cannot keep up with, and when it ends that. */
  readonly onOverload?: (overloaded: boolean) => void;
  /** For tests: how much is turned away to begin with. */
  readonly shedding?: Shedding;
}

/** The data plane of this process, with what a process that serves beside others needs. */
export interface LocalProxy extends DataPlane {
  /** What another process, which probes for this one, found. */
  tell(service: string, key: string, up: boolean, reason: string): void;
  tellAgent(service: string, key: string, agent: Agent): void;
  /** Serves a connection that another process accepted; closed when nothing listens under that key here. */
  adopt(key: string, handle: StreamHandle): void;
  /** Client connections now, busy or not. */
  clients(): number;
}

const RETRY_LISTEN_MS = 1_000;

/** The data plane in this process. Nothing is bound before the first `apply`. */
export function createProxy(deps: ProxyDeps): LocalProxy {
  const { shedding = { share: 0 }, onOverload = tellOverload } = deps;
  const surroundings: Surroundings = { ...deps, shedding, wheel: createTimerWheel(deps.clock) };
  const loop = watchLoop(shedding, { clock: deps.clock, cpuMs: processCpuMs, onTurn: onOverload });
  const probe = deps.probe === "elsewhere" ? undefined : (deps.probe ?? createProbe(deps.clock));
  const services = new Map<string, Service>();
  /** Removed from the snapshot, with clients that are not done. */
  const retired = new Set<Service>();
  const claims = createClaims(open);
  const load = { clients: 0, max: Number.POSITIVE_INFINITY };
  let applied: Snapshot = { revision: 0, services: [] };
  let closing: ReturnType<typeof closeServices> | undefined;

  function apply(snapshot: Snapshot): void {
    const { changed, gone } = changedServices(applied.services, snapshot.services);
    applied = snapshot;
    load.max = snapshot.clientsMax ?? Number.POSITIVE_INFINITY;
    loop.tolerate(closing === undefined ? snapshot.shedLagMs : undefined);
    let listening = gone.length > 0;
    for (const name of gone) retire(name);
    for (const spec of changed) if (put(spec)) listening = true;
    for (const service of retired) if (service.clients.size === 0) forget(service);
    if (closing === undefined && listening) claims.update(services.values());
  }

  /** True when it changes what is listened on. */
  function put(spec: ServiceSpec): boolean {
    const service = services.get(spec.name);
    if (service === undefined) {
      const { onHealth, clock, random, events } = deps;
      const pool = createPool(spec, { clock, random, events, onHealth, probe });
      const made = createService(spec, pool, clock.monotonic());
      made.draining = closing !== undefined;
      services.set(spec.name, made);
      return true;
    }
    if (service.spec === spec) return false;
    const { listen } = service.spec;
    const moved = listen !== spec.listen && !isDeepStrictEqual(listen, spec.listen);
    service.spec = spec;
    service.pool.apply(spec);
    return moved;
  }

  function retire(name: string): void {
    const service = services.get(name);
    if (service === undefined) return;
    services.delete(name);
    retired.add(service);
    service.draining = true;
    service.spec = { ...service.spec, listen: [], backends: [] };
    service.pool.apply(service.spec);
    for (const client of service.clients) if (!client.isBusy()) client.destroy();
  }

  function forget(service: Service): void {
    service.pool.stop();
    retired.delete(service);
  }

  function open(address: ListenAddress, service: Service): Claim {
    const { clock, random, events, bind, handOver, retryListenMs = RETRY_LISTEN_MS } = deps;
    const key = listenKey(service.spec.name, address);
    const claim: Claim = {
      service,
      listener: openListener({
        address,
        clock,
        random,
        events,
        retryMs: retryListenMs,
        serviceName: () => claim.service.spec.name,
        onConnection: (wire) => accept(wire, claim.service),
        onRefused: () => claim.service.counters.refused++,
        clientsMax: () => claim.service.spec.clientsMax ?? DEFAULT_CLIENTS_MAX,
        load,
        bind: bind === undefined ? undefined : (...args) => bind(key, ...args),
        handOver: handOver === undefined ? undefined : (handle) => handOver(key, handle),
      }),
    };
    return claim;
  }

  function accept(wire: Wire, service: Service): void {
    service.counters.connections++;
    if (service.spec.acceptProxy !== true) serve(wire, service, PLAIN);
    else acceptProxy(wire, service, surroundings, (opening) => serve(wire, service, opening));
  }

  function serve(wire: Wire, service: Service, opening: Opening): void {
    const { sources, mode } = service.spec;
    // In http mode each request has its own fate.
    if (mode === "tcp" && shedding.share > 0 && deps.random() < shedding.share) {
      service.counters.shed++;
      wire.destroy();
    } else if (sources !== undefined && !admitSource(wire, service, sources, opening.ends, deps.clock.monotonic()))
      wire.destroy();
    else if (mode === "http") serveHttp(wire, service, surroundings, opening);
    else serveTcp(wire, service, surroundings, opening);
  }

  function tellOverload(overloaded: boolean): void {
    deps.events.publish(overloaded ? "proxy.overloaded" : "proxy.relieved", { pid: process.pid });
  }

  function statusOf(service: Service): ProxyServiceStatus {
    return {
      name: service.spec.name,
      revision: applied.revision,
      listeners: claims.statusOf(service),
      backends: service.pool.status(),
      counters: {
        ...service.counters,
        responses: [...service.counters.responses],
        activeClients: service.clients.size,
        waiting: service.pool.queue.size(),
      },
    };
  }

  return {
    apply,
    settled: claims.settled,
    status: () => [...services.values()].map(statusOf),
    setLocalState: (name, key, state) => services.get(name)?.pool.setLocalState(key, state) ?? false,
    tell: (name, key, up, reason) => services.get(name)?.pool.tell(key, up, reason),
    tellAgent: (name, key, agent) => services.get(name)?.pool.tellAgent(key, agent),
    adopt(key, handle) {
      const listener = claims.listener(key);
      if (listener === undefined) handle.close(() => undefined);
      else listener.adopt(handle);
    },
    clients: () => load.clients,
    close(options) {
      closing ??= closeServices({
        clock: deps.clock,
        services: () => [...services.values(), ...retired],
        stopListening: claims.closeAll,
        stopTimers() {
          surroundings.wheel.stop();
          loop.tolerate(undefined);
        },
      });
      return closing(options);
    },
  };
}

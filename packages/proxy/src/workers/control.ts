import type { ListenerStatus, WorkerStatus } from "@smartstack/core";
import type { Agent } from "../agent-word.ts";
import { listenText } from "../bind.ts";
import type { Probe } from "../checker.ts";
import type { Proxy as DataPlane, ProxyServiceStatus } from "../data-plane.ts";
import type { StreamHandle } from "../handles.ts";
import { createPool, type Pool } from "../pool.ts";
import { createProbe } from "../probes/index.ts";
import type { ProxyDeps } from "../proxy.ts";
import type { ServiceSpec, Snapshot } from "../snapshot.ts";
import { applyMessage } from "./feed.ts";
import { createHolder } from "./holder.ts";
import { listenerNews } from "./listener-news.ts";
import { createMember, type Member } from "./member.ts";
import { fold, mergeBackend, mergeListeners, sumReports } from "./merge.ts";
import { forkWorker, type WorkerProcess } from "./process.ts";
import type { HealthTurn, ToWorker } from "./protocol.ts";
import { createRoster } from "./roster.ts";
import { fewestClients } from "./share.ts";

export interface WorkersDeps extends Pick<ProxyDeps, "clock" | "random" | "events" | "onHealth"> {
  /** Data-plane processes. */
  readonly workers: number;
  /** How long a replaced worker may serve what it has, milliseconds. */
  readonly retireMs: number;
  readonly probe?: Probe;
  /** A worker that tells nothing for so long is given up, milliseconds; default 10 s. */
  readonly silentMs?: number;
  /** Starts the process of a worker; default: the code beside this. */
  readonly fork?: () => WorkerProcess;
}

/** A data plane of several processes: they share the listeners, this process feeds them, probes for them and adds up. */
export interface Workers extends DataPlane {
  workers(): readonly WorkerStatus[];
  /** New processes, of the code that lies on the disk now, take over; the old ones serve what they have to its end. */
  replaceAll(): Promise<void>;
  /** Ends them now, whatever they serve. */
  kill(): void;
}

const NOTHING: Snapshot = { revision: 0, services: [] };

/** Starts the workers at once; they listen on nothing before the first `apply`. */
export function createWorkers(deps: WorkersDeps): Workers {
  const { clock, random, events, fork = forkWorker } = deps;
  const probe = deps.probe ?? createProbe(clock);
  const holder = createHolder();
  const pools = new Map<string, Pool>();
  /** What workers that are gone have counted, by service. */
  const past = new Map<string, ProxyServiceStatus>();
  const waiting = new Set<{ readonly revision: number; readonly resolve: () => void }>();
  const news = listenerNews(events);
  let current: Snapshot = NOTHING;
  let share = 0;
  let closed = false;

  const roster = createRoster({ ...deps, count: deps.workers, start, onGone });

  function start(index: number): Member {
    const member = createMember(fork(), clock, {
      hold: holder.hold,
      onSettled,
      onReport,
      onFailed: ({ service, key, reason }) => pools.get(service)?.failedElsewhere(key, reason),
      onOver: passOn,
      onOverload: (overloaded, pid) => events.publish(overloaded ? "proxy.overloaded" : "proxy.relieved", { pid }),
    });
    member.send({ kind: "place", place: { index, of: deps.workers } });
    member.send(applyMessage(undefined, current));
    for (const [service, pool] of pools) {
      for (const [key, agent] of pool.agents()) member.send({ kind: "agent", service, key, agent });
      for (const { key, health, reason, local } of pool.status()) {
        if (health === "down") member.send({ kind: "health", turns: [{ service, key, up: false, reason }] });
        if (local !== undefined) member.send({ kind: "local", service, key, state: local });
      }
    }
    return member;
  }

  function onGone(member: Member): void {
    for (const [name, report] of member.reports) {
      const keys = new Set(
        pools
          .get(name)
          ?.status()
          .map(({ key }) => key),
      );
      if (pools.has(name)) past.set(name, fold(past.get(name), report, keys));
    }
  }

  function tellAll(message: ToWorker): void {
    for (const member of roster.all()) member.send(message);
  }

  function onHealth(turn: HealthTurn): void {
    tellAll({ kind: "health", turns: [turn] });
    deps.onHealth?.(turn);
  }

  function passOn(key: string, handle: StreamHandle): void {
    const serving = roster.serving();
    const target = serving[fewestClients(serving.map(({ clients }) => clients)) ?? -1];
    const done = (): void => handle.close(() => undefined);
    if (target === undefined) done();
    else {
      target.give(key, handle, done);
      evenOut();
    }
  }

  // Sent when it has moved, not with every client.
  function evenOut(): void {
    const serving = roster.serving();
    const now = Math.ceil(serving.reduce((sum, { clients }) => sum + clients, 0) / Math.max(1, serving.length));
    if (Math.abs(now - share) * 8 <= share) return;
    share = now;
    tellAll({ kind: "share", clients: share });
  }

  function onSettled(): void {
    evenOut();
    tellWaiting();
  }

  function tellWaiting(): void {
    const serving = roster.serving();
    if (serving.length < deps.workers) return;
    for (const waiter of waiting) {
      if (serving.some(({ settled }) => settled < waiter.revision)) continue;
      waiting.delete(waiter);
      waiter.resolve();
    }
  }

  function forgetReports(name: string): void {
    for (const { reports } of roster.all()) reports.delete(name);
  }

  function onReport(names: readonly string[]): void {
    evenOut();
    for (const name of names) {
      if (!pools.has(name)) forgetReports(name);
      const listeners = listenersOf(name);
      if (pools.has(name) && listeners.length > 0) news.tell(name, listeners);
    }
  }

  function listenersOf(name: string): readonly ListenerStatus[] {
    const told = [...roster.all()].flatMap(({ reports, retired }) => {
      const listeners = reports.get(name)?.listeners ?? [];
      return retired || listeners.length === 0 ? [] : [listeners];
    });
    return mergeListeners(told);
  }

  function applyPools(services: readonly ServiceSpec[]): void {
    const names = new Set(services.map(({ name }) => name));
    for (const [name, pool] of [...pools]) {
      if (names.has(name)) continue;
      pool.stop();
      pools.delete(name);
      past.delete(name);
      news.tell(name, []);
      forgetReports(name);
    }
    for (const spec of services) {
      const pool = pools.get(spec.name);
      if (pool === undefined) pools.set(spec.name, newPool(spec));
      else pool.apply(spec);
    }
  }

  function newPool(spec: ServiceSpec): Pool {
    const onAgent = (key: string, agent: Agent): void => tellAll({ kind: "agent", service: spec.name, key, agent });
    return createPool(spec, { clock, random, events, onHealth, probe, onAgent });
  }

  function statusOf(name: string, pool: Pool): ProxyServiceStatus {
    const reports = [...roster.all()].flatMap((member) => member.reports.get(name) ?? []);
    const sums = sumReports([...reports, ...(past.has(name) ? [past.get(name) as ProxyServiceStatus] : [])]);
    const backends = pool.status().map((backend) => ({
      ...mergeBackend(backend, reports),
      counters: sums.backends.get(backend.key) ?? backend.counters,
    }));
    const told = listenersOf(name);
    const listeners = told.length > 0 ? told : pending(name);
    return { name, revision: current.revision, listeners, backends, counters: sums.service };
  }

  function pending(name: string): readonly ListenerStatus[] {
    const spec = current.services.find((service) => service.name === name);
    return (spec?.listen ?? []).map((address) => ({ address: listenText(address), state: "pending" }));
  }

  return {
    apply(snapshot) {
      const message = applyMessage(current, snapshot);
      current = snapshot;
      applyPools(message.names === undefined ? message.changed : snapshot.services);
      tellAll(message);
      // Behind the message: a worker lets go of an address before another process may take it.
      holder.keepOnly(snapshot.services);
    },
    settled: () =>
      new Promise((resolve) => {
        waiting.add({ revision: current.revision, resolve });
        if (closed) resolve();
        else tellWaiting();
      }),
    status: () => [...pools].map(([name, pool]) => statusOf(name, pool)),
    setLocalState(service, key, state) {
      if (pools.get(service)?.setLocalState(key, state) !== true) return false;
      tellAll({ kind: "local", service, key, ...(state === undefined ? {} : { state }) });
      return true;
    },
    workers: () =>
      [...roster.all()].map(({ pid, retired, settled, startedMs, clients }) => ({
        pid,
        state: retired ? "retired" : settled < 0 ? "starting" : "serving",
        startedMs,
        clients,
      })),
    replaceAll: () => roster.replaceAll(),
    kill: roster.kill,
    async close(options) {
      closed = true;
      await roster.close(options);
      holder.closeAll();
      for (const pool of pools.values()) pool.stop();
      for (const { resolve } of waiting) resolve();
    },
  };
}

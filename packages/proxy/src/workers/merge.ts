import { type BackendCounters, type ListenerStatus, NO_SERVICE_COUNTERS, type ServiceCounters } from "@smartstack/core";
import type { ProxyBackendStatus, ProxyServiceStatus } from "../data-plane.ts";

type Counted<T> = { readonly [K in keyof T]: number | readonly number[] };

/** Adds field by field; lists element by element. */
function add<T extends Counted<T>>(a: T, b: T): T {
  const keys = Object.keys(a) as (keyof T)[];
  return Object.fromEntries(keys.map((key) => [key, addValue(a[key], b[key])])) as T;
}

function addValue(a: number | readonly number[], b: number | readonly number[] | undefined): number | number[] {
  if (typeof a === "number") return a + (typeof b === "number" ? b : 0);
  return a.map((value, index) => value + (typeof b === "object" ? (b[index] ?? 0) : 0));
}

/** What a worker that is gone has counted, without what it had open. */
export function departed(report: ProxyServiceStatus): ProxyServiceStatus {
  return {
    ...report,
    listeners: [],
    counters: { ...report.counters, activeClients: 0, waiting: 0 },
    backends: report.backends.map((backend) => ({ ...backend, counters: { ...backend.counters, active: 0 } })),
  };
}

/** One service's counters over all its reports: of the whole, and of each backend by its key. */
export interface Sums {
  readonly service: ServiceCounters;
  readonly backends: ReadonlyMap<string, BackendCounters>;
}

export function sumReports(reports: Iterable<ProxyServiceStatus>): Sums {
  let service = NO_SERVICE_COUNTERS;
  const backends = new Map<string, BackendCounters>();
  for (const report of reports) {
    service = add(service, report.counters);
    for (const { key, counters } of report.backends) {
      const before = backends.get(key);
      backends.set(key, before === undefined ? counters : add(before, counters));
    }
  }
  return { service, backends };
}

/** The reports of a worker that is gone, folded into what those before it left; backends that no longer exist are dropped. */
export function fold(
  before: ProxyServiceStatus | undefined,
  report: ProxyServiceStatus,
  keys: ReadonlySet<string>,
): ProxyServiceStatus {
  const left = departed(report);
  const sums = sumReports(before === undefined ? [left] : [before, left]);
  const shapes = new Map([...(before?.backends ?? []), ...left.backends].map((backend) => [backend.key, backend]));
  const backends = [...sums.backends]
    .filter(([key]) => keys.has(key))
    .map(([key, counters]) => ({ ...(shapes.get(key) as ProxyServiceStatus["backends"][number]), counters }));
  return { ...left, counters: sums.service, backends };
}

/** An address is bound when a worker has it and none failed to get it; the first that failed says why. */
export function mergeListeners(reports: readonly (readonly ListenerStatus[])[]): readonly ListenerStatus[] {
  const first = reports[0] ?? [];
  return first.map((status, index) => {
    const all = reports.map((listeners) => listeners[index] ?? status);
    return all.find(({ state }) => state === "failed") ?? all.find(({ state }) => state === "bound") ?? status;
  });
}

/** A backend as the control process has it, with what the traffic of the workers took out. */
export function mergeBackend(backend: ProxyBackendStatus, reports: readonly ProxyServiceStatus[]): ProxyBackendStatus {
  if (!backend.usable) return backend;
  const told = reports.flatMap(({ backends }) => backends.filter(({ key }) => key === backend.key));
  const out = told.filter(({ usable }) => !usable);
  if (out[0] === undefined) return backend;
  const reason = `out at ${out.length} of ${told.length} workers: ${out[0].reason}`;
  return { ...backend, usable: out.length < told.length, reason };
}

/** The services of which anything differs from the last report. */
export function changedReports(
  before: ReadonlyMap<string, ProxyServiceStatus>,
  now: readonly ProxyServiceStatus[],
): readonly ProxyServiceStatus[] {
  return now.filter((service) => {
    const last = before.get(service.name);
    return last === undefined || !sameReport(last, service);
  });
}

function sameReport(a: ProxyServiceStatus, b: ProxyServiceStatus): boolean {
  if (a.backends.length !== b.backends.length || a.listeners.length !== b.listeners.length) return false;
  if (!sameNumbers(a.counters, b.counters)) return false;
  const listening = a.listeners.every(
    ({ address, state }, n) => b.listeners[n]?.address === address && b.listeners[n]?.state === state,
  );
  return (
    listening &&
    a.backends.every(({ key, usable, counters }, n) => {
      const other = b.backends[n];
      return other?.key === key && other.usable === usable && sameNumbers(counters, other.counters);
    })
  );
}

function sameNumbers<T extends Counted<T>>(a: T, b: T): boolean {
  for (const key in a) {
    const left: number | readonly number[] = a[key];
    const right: number | readonly number[] | undefined = b[key];
    if (left === right) continue;
    if (typeof left === "number" || typeof right !== "object") return false;
    if (left.some((value, index) => value !== right[index])) return false;
  }
  return true;
}

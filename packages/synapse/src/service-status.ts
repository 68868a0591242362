import {
  type BackendStatus,
  type Instance,
  NO_BACKEND_COUNTERS,
  NO_SERVICE_COUNTERS,
  type ServiceStatus,
} from "@smartstack/core";
import type { BackendSpec, ProxyBackendStatus, ProxyServiceStatus, ServiceSpec } from "@smartstack/proxy";
import { addressText } from "./address.ts";
import { isStale } from "./routes.ts";
import { knownInstances, type ServiceView } from "./view.ts";

export interface StatusInput {
  readonly name: string;
  readonly view: ServiceView | undefined;
  /** As last applied; undefined while it has no listener. */
  readonly spec: ServiceSpec | undefined;
  readonly proxy: ProxyServiceStatus | undefined;
  readonly problems: readonly string[];
}

export interface Times {
  readonly nowMs: number;
  /** Wall clock minus monotonic clock, milliseconds. */
  readonly wallOffsetMs: number;
}

/** What the registry knows of a service, and what the proxy makes of it, with the reasons of both. Pure. */
export function serviceStatus(input: StatusInput, times: Times): ServiceStatus {
  const { name, view, spec, proxy, problems } = input;
  const unread = isStale(view, times.nowMs) ? view?.unread : undefined;
  return {
    name,
    mode: spec?.mode ?? "tcp",
    listeners: proxy?.listeners ?? [],
    backends: backendStatuses(input, times),
    ...(unread === undefined ? {} : { stale: { sinceMs: unread.sinceMs + times.wallOffsetMs, reason: unread.reason } }),
    problems,
    counters: proxy?.counters ?? NO_SERVICE_COUNTERS,
  };
}

function backendStatuses(input: StatusInput, times: Times): BackendStatus[] {
  const { view, spec, proxy } = input;
  const routed = new Map(proxy?.backends.map((backend) => [backend.key, backend]));
  const instances = view === undefined ? new Map<string, Instance>() : knownInstances(view);
  const fromRegistry = [...instances].map(([id, instance]) => fromInstance(input, id, instance, routed.get(id), times));
  const fixed = (spec?.backends ?? []).filter((backend) => !instances.has(backend.key));
  const all = [...fromRegistry, ...fixed.map((backend) => fromSpec(backend, routed.get(backend.key), times))];
  return all.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function fromInstance(
  input: StatusInput,
  id: string,
  instance: Instance,
  routed: ProxyBackendStatus | undefined,
  times: Times,
): BackendStatus {
  const suspect = input.view?.suspects.get(id);
  const unrouted = instance.protocol === "udp" ? "udp is not routed" : "its service has no listener";
  const sinceMs =
    suspect === undefined ? (instance.since ?? times.nowMs + times.wallOffsetMs) : suspect.sinceMs + times.wallOffsetMs;
  const isRouted = input.spec !== undefined && instance.protocol !== "udp";
  const verdict = merge(isRouted ? routed : undefined, isRouted ? "not applied yet" : unrouted, sinceMs);
  return {
    id,
    address: addressText(instance.host, instance.port),
    weight: instance.weight ?? 1,
    state: instance.state ?? "up",
    suspect: suspect !== undefined,
    ...verdict,
    reason: suspect === undefined ? verdict.reason : `${verdict.reason}; suspect: ${suspect.reason}`,
    ...(instance.node === undefined ? {} : { node: instance.node }),
    ...(instance.container === undefined ? {} : { container: instance.container }),
    ...(instance.zone === undefined ? {} : { zone: instance.zone }),
  };
}

function fromSpec(spec: BackendSpec, routed: ProxyBackendStatus | undefined, times: Times): BackendStatus {
  const { key, host, port, weight, state, suspect, zone } = spec;
  const verdict = merge(routed, "not applied yet", times.nowMs + times.wallOffsetMs);
  const reason = `${verdict.reason} (default server)`;
  return {
    id: key,
    address: addressText(host, port),
    weight,
    state,
    suspect,
    ...verdict,
    reason,
    ...(zone === undefined ? {} : { zone }),
  };
}

type Verdict = Pick<
  BackendStatus,
  "local" | "slots" | "health" | "usable" | "effectiveWeight" | "reason" | "sinceMs" | "counters"
>;

function merge(routed: ProxyBackendStatus | undefined, unrouted: string, unroutedSinceMs: number): Verdict {
  if (routed === undefined) {
    const reason = `not routed: ${unrouted}`;
    return {
      health: "unchecked",
      usable: false,
      effectiveWeight: 0,
      reason,
      sinceMs: unroutedSinceMs,
      counters: NO_BACKEND_COUNTERS,
    };
  }
  const { health, usable, effectiveWeight, reason, sinceMs, counters, local, slots } = routed;
  return {
    ...{ health, usable, effectiveWeight, reason, sinceMs, counters },
    ...(local === undefined ? {} : { local }),
    ...(slots === undefined ? {} : { slots }),
  };
}

import { isDeepStrictEqual } from "node:util";
import type { Instance } from "@smartstack/core";
import type { BackendSpec } from "@smartstack/proxy";
import { addressText } from "./address.ts";
import { type SubsetsConfig, subsetOf } from "./balance-config.ts";
import type { WantedService } from "./routes.ts";
import { knownInstances, type ServiceView } from "./view.ts";

/** The instances of a service that can be routed, by id. */
export function routable(view: ServiceView | undefined): ReadonlyMap<string, Instance> {
  if (view === undefined) return new Map();
  return new Map([...knownInstances(view)].filter(([, instance]) => instance.protocol !== "udp"));
}

/** What may serve: what is known of the service, else its default servers. What stayed the same is the same object. */
export function backendsOf(
  service: WantedService,
  instances: ReadonlyMap<string, Instance>,
  before: readonly BackendSpec[],
): readonly BackendSpec[] {
  const { view, proxy } = service;
  const specs =
    view !== undefined && instances.size > 0 ? fromInstances(view, instances, proxy.subsets) : fromDefaults(service);
  const known = new Map(before.map((spec) => [spec.key, spec]));
  const kept = specs.map((spec) => {
    const old = known.get(spec.key);
    return old !== undefined && isDeepStrictEqual(old, spec) ? old : spec;
  });
  return kept.length === before.length && kept.every((spec, n) => spec === before[n]) ? before : kept;
}

function fromInstances(
  view: ServiceView,
  instances: ReadonlyMap<string, Instance>,
  subsets: SubsetsConfig,
): BackendSpec[] {
  const specs = [...instances].map(([id, instance]) => ({
    key: id,
    host: instance.host,
    port: instance.port,
    weight: instance.weight ?? 1,
    state: instance.state ?? "up",
    suspect: view.suspects.has(id),
    ...placeOf({
      backup: haproxyWord(instance, /(?:^|\s)(backup)(?:\s|$)/) !== undefined,
      zone: instance.zone,
      subset: subsetOf(instance.labels, subsets),
      id: haproxyWord(instance, /(?:^|\s)id\s+([1-9]\d{0,8})(?:\s|$)/),
      slots: haproxyWord(instance, /(?:^|\s)maxconn\s+([1-9]\d{0,5})(?:\s|$)/),
    }),
  }));
  return specs.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function fromDefaults(service: WantedService): BackendSpec[] {
  return service.defaultServers.map((server) => ({
    key: addressText(server.host, server.port),
    host: server.host,
    port: server.port,
    weight: server.weight,
    state: "up",
    suspect: false,
    ...placeOf({
      ...server,
      subset: subsetOf(server.labels, service.proxy.subsets),
      slots: server.max_connections,
    }),
  }));
}

/** The parts of a backend that most do not have. */
function placeOf(place: {
  readonly backup: boolean;
  readonly zone?: string | undefined;
  readonly subset: string | undefined;
  readonly id?: string | number | undefined;
  readonly slots?: string | number | undefined;
}): Pick<BackendSpec, "backup" | "zone" | "subset" | "id" | "slots"> {
  return {
    ...(place.backup ? { backup: true } : {}),
    ...(place.zone === undefined ? {} : { zone: place.zone }),
    ...(place.subset === undefined ? {} : { subset: place.subset }),
    ...(place.id === undefined ? {} : { id: Number(place.id) }),
    ...(place.slots === undefined ? {} : { slots: Number(place.slots) }),
  };
}

/** What an instance's options for a HAProxy server say, as nerves have always announced it. */
function haproxyWord({ haproxyServerOptions = "" }: Instance, pattern: RegExp): string | undefined {
  return pattern.exec(haproxyServerOptions)?.[1];
}

import type { Instance } from "@smartstack/core";
import type { BackendSpec, ListenAddress, ServiceSpec } from "@smartstack/proxy";
import { addressText, loopback } from "./address.ts";
import { type SubsetsConfig, sharingOf, subsetOf } from "./balance-config.ts";
import { type Claim, grantAddresses } from "./claims.ts";
import type { DefaultServer, PortRange, ProxySettings } from "./config.ts";
import { knownInstances, type ServiceView } from "./view.ts";

/** How long a discovered listener outlives its last instance: a client that retries should meet a 503, not a refusal. */
export const LISTENER_OUTLIVES_MS = 3_600_000;

/** A quick reconnect is no news: a view counts as stale only after this. */
export const STALE_GRACE_MS = 1_000;

/** A service as it is wanted, whether from the config file or discovered. */
export interface WantedService {
  readonly name: string;
  readonly fixed: boolean;
  readonly proxy: ProxySettings;
  /** Where this proxy is. */
  readonly zone?: string | undefined;
  /** Used while discovery offers nothing. */
  readonly defaultServers: readonly DefaultServer[];
  /** Undefined for a fixed pool, which no registry feeds. */
  readonly view: ServiceView | undefined;
}

export interface Routes {
  /** Sorted by name; services without a listener are left out. */
  readonly specs: readonly ServiceSpec[];
  /** Per service: what keeps it, or some of its instances, from being served as asked. */
  readonly problems: ReadonlyMap<string, readonly string[]>;
  /** Discovered services without an instance: since when, monotonic milliseconds. */
  readonly vacantSince: ReadonlyMap<string, number>;
}

export const NO_ROUTES: Routes = { specs: [], problems: new Map(), vacantSince: new Map() };

interface Plan {
  readonly wanted: WantedService;
  readonly spec: Omit<ServiceSpec, "listen">;
  readonly claim: Claim;
  readonly problems: readonly string[];
}

/** What the proxy shall serve, from what is wanted and known, and from what it serves already. Pure. */
export function nextRoutes(
  wanted: readonly WantedService[],
  ports: PortRange,
  previous: Routes,
  nowMs: number,
): Routes {
  const before = new Map(previous.specs.map((spec) => [spec.name, spec]));
  const vacantSince = new Map<string, number>();
  const plans: Plan[] = [];
  for (const service of [...wanted].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const plan = planService(service, ports, before.get(service.name), nowMs);
    if (plan.claim.vacant) {
      const sinceMs = previous.vacantSince.get(service.name) ?? nowMs;
      vacantSince.set(service.name, sinceMs);
      if (nowMs - sinceMs >= LISTENER_OUTLIVES_MS) continue;
    }
    plans.push(plan);
  }
  const grants = grantAddresses(plans.map((plan) => plan.claim));
  const specs: ServiceSpec[] = [];
  const problems = new Map<string, readonly string[]>();
  for (const { spec, problems: own } of plans) {
    const grant = grants.get(spec.name);
    const all = [...own, ...(grant?.refusals ?? [])];
    if (all.length > 0) problems.set(spec.name, all);
    if (grant !== undefined && grant.listen.length > 0) specs.push({ ...spec, listen: grant.listen });
  }
  return { specs, problems, vacantSince };
}

/** The instances of a service that can be routed, by id. */
export function routable(view: ServiceView | undefined): ReadonlyMap<string, Instance> {
  if (view === undefined) return new Map();
  return new Map([...knownInstances(view)].filter(([, instance]) => instance.protocol !== "udp"));
}

export function isStale(view: ServiceView | undefined, nowMs: number): boolean {
  return view?.unread !== undefined && nowMs - view.unread.sinceMs >= STALE_GRACE_MS;
}

function planService(service: WantedService, ports: PortRange, before: ServiceSpec | undefined, nowMs: number): Plan {
  const { name, proxy, view } = service;
  const instances = routable(view);
  const backends =
    view !== undefined && instances.size > 0 ? backendsOf(view, instances, proxy.subsets) : defaultsOf(service);
  const mode = vote(
    [...instances.values()].map((instance) => instance.mode),
    before?.mode,
  );
  const asked = proxy.listen === undefined ? discoveredListen([...instances.values()], ports, before) : undefined;
  const problems = [
    ...udpProblems(view),
    ...(asked?.problems ?? []),
    ...(proxy.mode === undefined ? disagreement("mode", mode) : []),
  ];
  const vacant = !service.fixed && backends.length === 0;
  return {
    wanted: service,
    problems,
    claim: {
      name,
      wants: proxy.listen ?? asked?.listen ?? [],
      fixed: service.fixed && proxy.listen !== undefined,
      holds: before?.listen ?? [],
      vacant,
    },
    spec: {
      name,
      mode: proxy.mode ?? mode.winner ?? "tcp",
      balance: proxy.balance.algorithm,
      ...(proxy.balance.hash === undefined ? {} : { hash: proxy.balance.hash }),
      sharing: sharingOf(proxy, service.zone),
      check: proxy.send_proxy === undefined ? proxy.check : { ...proxy.check, sendProxy: proxy.send_proxy },
      timeouts: proxy.timeouts,
      retryBudget: { ratio: proxy.retry_budget.ratio, minPerSecond: proxy.retry_budget.min_per_second },
      host: proxy.host,
      tellReasons: proxy.tell_reasons,
      ...(proxy.origin === undefined ? {} : { origin: proxy.origin }),
      acceptProxy: proxy.accept_proxy,
      ...(proxy.send_proxy === undefined ? {} : { sendProxy: proxy.send_proxy }),
      stale: isStale(view, nowMs),
      backends,
    },
  };
}

function backendsOf(
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
    }),
  }));
  return specs.sort((a, b) => (a.key < b.key ? -1 : 1));
}

function defaultsOf(service: WantedService): BackendSpec[] {
  return service.defaultServers.map((server) => ({
    key: addressText(server.host, server.port),
    host: server.host,
    port: server.port,
    weight: server.weight,
    state: "up",
    suspect: false,
    ...placeOf({ ...server, subset: subsetOf(server.labels, service.proxy.subsets) }),
  }));
}

/** The parts of a backend that most do not have. */
function placeOf(place: {
  readonly backup: boolean;
  readonly zone?: string | undefined;
  readonly subset: string | undefined;
  readonly id?: string | number | undefined;
}): Pick<BackendSpec, "backup" | "zone" | "subset" | "id"> {
  return {
    ...(place.backup ? { backup: true } : {}),
    ...(place.zone === undefined ? {} : { zone: place.zone }),
    ...(place.subset === undefined ? {} : { subset: place.subset }),
    ...(place.id === undefined ? {} : { id: Number(place.id) }),
  };
}

/** What an instance's options for a HAProxy server say, as nerves have always announced it. */
function haproxyWord({ haproxyServerOptions = "" }: Instance, pattern: RegExp): string | undefined {
  return pattern.exec(haproxyServerOptions)?.[1];
}

/** Discovered listeners bind loopback only, on the port that most instances ask for. */
function discoveredListen(
  instances: readonly Instance[],
  ports: PortRange,
  before: ServiceSpec | undefined,
): { readonly listen: readonly ListenAddress[]; readonly problems: readonly string[] } {
  const first = before?.listen[0];
  const held = first !== undefined && "port" in first ? first.port : undefined;
  const ballot = vote(
    instances.map((instance) => instance.listen),
    held,
  );
  const problems = disagreement("listen", ballot);
  const port = ballot.winner;
  if (port === undefined) {
    return {
      listen: [],
      problems: instances.length === 0 ? [] : [...problems, "no instance says on which port to listen"],
    };
  }
  if (port < ports.from || port > ports.to) {
    const outside = `asks for port ${port}, outside listen_ports ${ports.from}-${ports.to}`;
    return { listen: [], problems: [...problems, outside] };
  }
  return { listen: loopback(port), problems };
}

interface Ballot<T> {
  readonly winner: T | undefined;
  readonly votes: ReadonlyMap<T, number>;
}

/** Most votes win; a tie keeps what is applied, else the smallest; nobody's vote keeps what is applied. */
function vote<T extends string | number>(votes: readonly (T | undefined)[], applied: T | undefined): Ballot<T> {
  const counts = new Map<T, number>();
  for (const choice of votes) if (choice !== undefined) counts.set(choice, (counts.get(choice) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  const leaders = [...counts].filter(([, count]) => count === most).map(([choice]) => choice);
  if (applied !== undefined && (leaders.length === 0 || leaders.includes(applied)))
    return { winner: applied, votes: counts };
  return { winner: leaders.sort((a, b) => (a < b ? -1 : 1))[0], votes: counts };
}

function disagreement<T extends string | number>(what: string, ballot: Ballot<T>): string[] {
  return [...ballot.votes]
    .filter(([choice]) => choice !== ballot.winner)
    .map(([choice, count]) => `${count} instance(s) ask for ${what} ${choice}; ${ballot.winner} is used`);
}

function udpProblems(view: ServiceView | undefined): string[] {
  if (view === undefined) return [];
  const udp = [...knownInstances(view)].filter(([, instance]) => instance.protocol === "udp").map(([id]) => id);
  return udp.length === 0 ? [] : [`udp is not routed: ${udp.slice(0, 5).join(", ")}${udp.length > 5 ? ", …" : ""}`];
}

import { isDeepStrictEqual } from "node:util";
import type { Instance } from "@smartstack/core";
import type { ListenAddress, ServiceSpec } from "@smartstack/proxy";
import { loopback } from "./address.ts";
import { backendsOf, routable } from "./backends.ts";
import { sharingOf } from "./balance-config.ts";
import { type Claim, type Grant, grantAddresses } from "./claims.ts";
import type { DefaultServer, PortRange, ProxySettings } from "./config.ts";
import { sourcesOf } from "./source-config.ts";
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
  /** What the next ones can be made of where nothing changed, by name. */
  readonly plans: ReadonlyMap<string, Plan>;
  readonly grants: ReadonlyMap<string, Grant>;
  /** Sorted by name; services without a listener are left out. A spec, or the list, that stayed the same is the same object. */
  readonly specs: readonly ServiceSpec[];
  /** Per service: what keeps it, or some of its instances, from being served as asked. */
  readonly problems: ReadonlyMap<string, readonly string[]>;
  /** Discovered services without an instance: since when, monotonic milliseconds. */
  readonly vacantSince: ReadonlyMap<string, number>;
}

export const NO_ROUTES: Routes = {
  plans: new Map(),
  grants: new Map(),
  specs: [],
  problems: new Map(),
  vacantSince: new Map(),
};

interface Plan {
  /** All that it is made from: while these are the same, so is it. */
  readonly from: {
    readonly wanted: WantedService;
    readonly ports: PortRange;
    readonly before: ServiceSpec | undefined;
    readonly stale: boolean;
  };
  readonly spec: Omit<ServiceSpec, "listen">;
  readonly claim: Claim;
  readonly problems: readonly string[];
}

/** What the proxy shall serve, from what is wanted and known, and from what it serves already: only what changed is made anew. Pure. */
export function nextRoutes(
  wanted: readonly WantedService[],
  ports: PortRange,
  previous: Routes,
  nowMs: number,
): Routes {
  const before = new Map(previous.specs.map((spec) => [spec.name, spec]));
  const vacantSince = new Map<string, number>();
  const plans = new Map<string, Plan>();
  for (const service of [...wanted].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const from = { wanted: service, ports, before: before.get(service.name), stale: isStale(service.view, nowMs) };
    const plan = nextPlan(from, previous.plans.get(service.name));
    if (plan.claim.vacant) {
      const sinceMs = previous.vacantSince.get(service.name) ?? nowMs;
      vacantSince.set(service.name, sinceMs);
      if (nowMs - sinceMs >= LISTENER_OUTLIVES_MS) continue;
    }
    plans.set(service.name, plan);
  }
  if (sameEntries(previous.plans, plans, (a, b) => a === b)) return { ...previous, vacantSince };
  const sameClaims = sameEntries(previous.plans, plans, (a, b) => a.claim === b.claim);
  const grants = sameClaims ? previous.grants : grantAddresses([...plans.values()].map((plan) => plan.claim));
  const specs: ServiceSpec[] = [];
  const problems = new Map<string, readonly string[]>();
  for (const [name, plan] of plans) {
    const grant = grants.get(name);
    const all = [...plan.problems, ...(grant?.refusals ?? [])];
    if (all.length > 0) problems.set(name, all);
    if (grant === undefined || grant.listen.length === 0) continue;
    const present = before.get(name);
    const unchanged = plan === previous.plans.get(name) && grant === previous.grants.get(name);
    specs.push(unchanged && present !== undefined ? present : keep(present, { ...plan.spec, listen: grant.listen }));
  }
  const same = specs.length === previous.specs.length && specs.every((spec, n) => spec === previous.specs[n]);
  return { plans, grants, specs: same ? previous.specs : specs, problems, vacantSince };
}

/** The old one where the new one is no other, so that whoever compares need not look inside. */
function keep<T>(old: T | undefined, made: T): T {
  return old !== undefined && isDeepStrictEqual(old, made) ? old : made;
}

function sameEntries<T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
  same: (one: T, other: T) => boolean,
): boolean {
  if (a.size !== b.size) return false;
  for (const [name, one] of a) {
    const other = b.get(name);
    if (other === undefined || !same(one, other)) return false;
  }
  return true;
}

function nextPlan(from: Plan["from"], last: Plan | undefined): Plan {
  const { wanted, ports, before, stale } = from;
  const known = last?.from;
  if (known?.wanted === wanted && known.ports === ports && known.before === before && known.stale === stale)
    return last as Plan;
  const plan = planService(from);
  return last === undefined ? plan : { ...plan, claim: keep(last.claim, plan.claim) };
}

export function isStale(view: ServiceView | undefined, nowMs: number): boolean {
  return view?.unread !== undefined && nowMs - view.unread.sinceMs >= STALE_GRACE_MS;
}

function planService(from: Plan["from"]): Plan {
  const { wanted: service, ports, before, stale } = from;
  const { name, proxy, view } = service;
  const instances = routable(view);
  const backends = backendsOf(service, instances, before?.backends ?? []);
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
  const { requestsMax, adaptive } = proxy.limits ?? {};
  if ((proxy.mode ?? mode.winner ?? "tcp") === "tcp" && (requestsMax ?? adaptive) !== undefined)
    problems.push("limits.max_requests and adaptive are of mode http, and it is tcp: they do nothing");
  const vacant = !service.fixed && backends.length === 0;
  return {
    from,
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
      ...(proxy.agent === undefined ? {} : { agent: proxy.agent }),
      ...(proxy.limits === undefined ? {} : { limits: proxy.limits }),
      ...(proxy.outlier === undefined ? {} : { outlier: proxy.outlier }),
      timeouts: proxy.timeouts,
      clientsMax: proxy.max_connections,
      ...sourcesOf(proxy),
      retryBudget: { ratio: proxy.retry_budget.ratio, minPerSecond: proxy.retry_budget.min_per_second },
      host: proxy.host,
      tellReasons: proxy.tell_reasons,
      ...(proxy.origin === undefined ? {} : { origin: proxy.origin }),
      acceptProxy: proxy.accept_proxy,
      ...(proxy.send_proxy === undefined ? {} : { sendProxy: proxy.send_proxy }),
      stale,
      backends,
    },
  };
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

import { isDeepStrictEqual } from "node:util";
import { type Clock, type EventBus, entryKey, type Random, type Readiness } from "@smartstack/core";
import { formatAddress } from "./addresses.ts";
import type { NerveConfig } from "./config.ts";
import { type Tracked, whyOut } from "./container-table.ts";
import type { ContainerFacts } from "./containers.ts";
import { dockerApi, type EngineInfo } from "./docker-api.ts";
import type { DockerConfig } from "./docker-config.ts";
import { type LocalNetwork, localNetwork, remoteHost, sourceAddressTo } from "./local-network.ts";
import { containerOffers, type HostPolicy, type OffersVerdict } from "./offers.ts";
import { dependants, type NoPlace, type Place, placeOf } from "./place.ts";
import { type Reach, reachReader } from "./reach.ts";
import type { Registrations } from "./registrations.ts";
import { routeAddress } from "./route-address.ts";
import { type ContainerWatch, watchContainers } from "./watch-containers.ts";

export interface DockerSourceDeps {
  readonly docker: DockerConfig;
  readonly nerve: () => NerveConfig;
  readonly shared: boolean;
  readonly registryHosts: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  readonly registrations: Registrations;
  /** Undefined: the node's name is configured, and the engine was not asked who it is. */
  readonly onEngine: (info: EngineInfo | undefined) => void;
  /** What is known of a container has changed, in a way that matters for what is kept in the registry. */
  readonly onChange: (id: string) => void;
  /** A list was read whole. */
  readonly onListed: () => void;
}

/** One container and what follows from it. */
export interface Judged {
  readonly tracked: Tracked;
  /** Why it is not offered now whatever its labels say; undefined when it runs. */
  readonly out: string | undefined;
  readonly verdict: OffersVerdict;
}

/** Docker as a source of offers: the watch, and the rules applied to what it sees. */
export interface DockerSource {
  judged(): ReadonlyMap<string, Judged>;
  /** By the first 12 digits of its id. */
  find(shortId: string): Tracked | undefined;
  listed(): boolean;
  readiness(): Readiness;
  /** Applies the rules anew: the configuration changed. */
  reapply(docker: DockerConfig): void;
  stop(): void;
}

const NOTHING: OffersVerdict = { offers: [], asks: [], refusals: [], warnings: [] };

export function dockerSource(deps: DockerSourceDeps): DockerSource {
  const { clock, random, events, registrations } = deps;
  const judged = new Map<string, Judged>();
  const local = localNetwork();
  let docker = deps.docker;
  let stopped = false;
  let own: ContainerFacts | undefined;

  const reach = reachReader(() => reachOf(own, deps.docker.host, local));
  const route = routeAddress({
    hosts: deps.registryHosts,
    clock,
    sourceTo: sourceAddressTo,
    isOwn: (address) => local.addresses().has(address),
    onChange: () => {
      if (!stopped) applyAll();
    },
  });
  const lookForRoute = (): void => {
    if (deps.shared && docker.advertise === undefined && reach.at([]).kind === "host") void route.look();
  };
  const hostPolicy = (place: Place | NoPlace): HostPolicy => ({
    shared: deps.shared,
    advertise: docker.advertise,
    sourceAddress: route.current(),
    reach: reach.at("refused" in place ? [] : place.networks),
  });
  const apply = (id: string): void => {
    applyOne(id);
    for (const other of dependants(id, watch.usersOf)) applyOne(other);
  };
  const applyOne = (id: string): void => {
    const tracked = watch.containers().get(id);
    const before = judged.get(id);
    if (tracked === undefined) {
      judged.delete(id);
      registrations.sync(id, []);
    } else {
      const out = whyOut(tracked);
      const { facts } = tracked;
      const place = facts && placeOf(facts, (other) => watch.containers().get(other));
      const verdict =
        facts === undefined || place === undefined
          ? NOTHING
          : containerOffers(facts, place, docker, deps.nerve().check, hostPolicy(place));
      judged.set(id, { tracked, out, verdict });
      // Labels of a container that does not run are no news yet, nor is what the next moment will tell.
      if (out === undefined && (verdict.pending === undefined || route.current() === false))
        tellNews(events, nameOf(tracked), before?.out === undefined ? before?.verdict : undefined, verdict);
      registrations.sync(id, out === undefined ? verdict.offers : []);
      registrations.kick(id);
    }
    deps.onChange(id);
  };
  const applyAll = (): void => {
    for (const id of [...watch.containers().keys()]) applyOne(id);
  };

  const watch: ContainerWatch = watchContainers({
    config: docker,
    reconcileMs: () => deps.nerve().reconcile,
    openApi: (stopping) => dockerApi(deps.docker, clock, stopping),
    ownHints: local.containerHints,
    clock,
    random,
    events,
    onEngine: (info, container) => {
      // Read once before anything is judged by it: from then on it is known, whatever fails.
      reachOf(container, deps.docker.host, local);
      const moved = !isDeepStrictEqual(own?.networks, container?.networks);
      own = container;
      if (moved) reach.forget();
      deps.onEngine(info);
      if (moved) applyAll();
    },
    onChange: apply,
    onListed: () => {
      lookForRoute();
      reach.forget();
      deps.onListed();
    },
  });

  return {
    judged: () => judged,
    find: (shortId) => watch.find(shortId),
    listed: () => watch.listed(),
    readiness: () => watch.readiness(),
    reapply(next) {
      docker = next;
      lookForRoute();
      applyAll();
    },
    stop() {
      stopped = true;
      watch.stop();
    },
  };
}

export function nameOf(tracked: Tracked): string {
  return tracked.facts?.name || tracked.id.slice(0, 12);
}

function reachOf(own: ContainerFacts | undefined, engine: string, local: LocalNetwork): Reach {
  if (own !== undefined && own.networkMode !== "host")
    return { kind: "container", networks: new Set(own.networks.map((network) => network.id)) };
  const addresses = local.addresses();
  const remote = own === undefined ? remoteHost(engine, addresses) : undefined;
  return remote === undefined
    ? { kind: "host", subnets: local.subnets(), addresses }
    : { kind: "remote", host: remote };
}

/** One event per thing that was not so before. */
function tellNews(events: EventBus, container: string, before: OffersVerdict | undefined, now: OffersVerdict): void {
  for (const reason of now.refusals) {
    if (before?.refusals.includes(reason) !== true) events.publish("container.refused", { container, reason });
  }
  for (const warning of now.warnings) {
    if (before?.warnings.includes(warning) !== true) events.publish("container.warned", { container, warning });
  }
  const known = new Set(before?.offers.map((offer) => newsKey(offer)));
  for (const offer of now.offers) {
    if (known.has(newsKey(offer))) continue;
    const { service, id, instance } = offer;
    events.publish("container.registered", {
      container,
      service,
      id,
      address: formatAddress(instance.host, instance.port),
    });
  }
}

function newsKey(offer: OffersVerdict["offers"][number]): string {
  return `${entryKey(offer.service, offer.id)} ${formatAddress(offer.instance.host, offer.instance.port)}`;
}

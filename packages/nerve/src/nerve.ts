import { hostname } from "node:os";
import {
  type Clock,
  type ContainerStatus,
  type EventBus,
  entryKey,
  type Instance,
  type InstanceState,
  type Random,
  type Readiness,
  type Registry,
} from "@smartstack/core";
import { type Announcer, startAnnouncer } from "./announcer.ts";
import type { DockerConfig, NerveConfig } from "./config.ts";
import { configStatus, containerStatus, type StatusContext } from "./container-status.ts";
import { type DockerSource, dockerSource } from "./docker-source.ts";
import { type EntryFacts, keepsEntry, mayComeBack, withdrawalReason } from "./entries.ts";
import { bootNonce, configNode, engineNode } from "./node-name.ts";
import { configOffers } from "./offers.ts";
import { type Desired, recordsByKey } from "./plan.ts";
import { recordOf, registrations } from "./registrations.ts";
import { instanceStates } from "./states.ts";

export interface NerveOptions {
  /** False switches Docker off. */
  readonly docker: DockerConfig | false;
  readonly nerve: NerveConfig;
}

export interface NerveDeps {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /** The registry is read by other machines (etcd, ZooKeeper). */
  readonly shared: boolean;
  /** Where the registry is, `host` or `host:port`: the route there tells this host's own address. */
  readonly registryHosts: readonly string[];
}

/** Watches Docker, checks health, announces instances. */
export interface Nerve {
  /** Never throws: everything that can fail is tried again inside. */
  start(): void;
  /** Known once the configuration or the engine has told it. */
  node(): string | undefined;
  /** Every container of the engine and every service from configuration, with the reason for what it is. */
  containers(): readonly ContainerStatus[];
  readiness(): readonly Readiness[];
  /** An operator's word, for everyone: kept in the document. `forMs`: back to up after that time. False when nothing is registered so. */
  setState(service: string, id: string, state: InstanceState, forMs?: number): boolean;
  /** Takes a new configuration; what it does not concern goes on undisturbed. */
  reconfigure(options: NerveOptions): void;
  /** By on_stop when not said. Never throws; ≤ 3 s. */
  stop(mode?: "keep" | "withdraw"): Promise<void>;
}

/** Nothing starts before `start()`. */
export function createNerve(options: NerveOptions, deps: NerveDeps): Nerve {
  const { clock, random, events } = deps;
  const boot = bootNonce(random);
  let { docker, nerve } = options;
  let running = false;
  let node: string | undefined;
  let announcer: Announcer | undefined;
  let source: DockerSource | undefined;

  const wake = (): void => announcer?.wake();
  const entries = (): ReadonlyMap<string, Instance> => announcer?.entries() ?? new Map();
  const states = instanceStates(clock, wake);
  const table = registrations({
    clock,
    random,
    events,
    announced: (key) => entries().has(key),
    engineHealth: (id) => source?.judged().get(id)?.tracked.facts?.health,
    onChange: wake,
  });

  const facts = (): EntryFacts => ({ entries: entries(), registrations: table.all(), source });
  const desired = (): Desired => {
    const known = { name: nerve.instance_id ?? node ?? "", node: node ?? "", boot };
    const up = [...table.all().values()].filter((registration) => registration.health === "up");
    const records = up.map(({ key, offer }) => recordOf(offer, { ...known, ...states.of(key) }));
    const now = facts();
    return { records: recordsByKey(records), keeps: (key) => keepsEntry(key, now) };
  };

  const announceAs = (name: string): void => {
    if (announcer !== undefined || !running) return;
    node = name;
    announcer = startAnnouncer({
      registry: deps.registry,
      owner: { node: name, boot, since: clock.now(), host: hostname() },
      clock,
      random,
      events,
      desired,
      withdrawalReason: (key) => withdrawalReason(key, facts()),
      onDropped: states.withdrawn,
      adopt: (found) => states.adopt(found),
    });
    table.sync(undefined, configOffers(nerve, name));
  };

  const openSource = (config: DockerConfig): DockerSource =>
    dockerSource({
      docker: config,
      nerve: () => nerve,
      shared: deps.shared,
      registryHosts: deps.registryHosts,
      clock,
      random,
      events,
      registrations: table,
      onEngine: (info) => announceAs(engineNode(info.id)),
      onChange: () => {
        states.retain((key) => mayComeBack(key, facts()));
        wake();
      },
    });

  const begin = (): void => {
    if (docker === false) announceAs(configNode(nerve.instance_id, hostname()));
    else {
      if (docker.node !== undefined) announceAs(docker.node);
      source = openSource(docker);
    }
  };

  return {
    start() {
      if (running) return;
      running = true;
      begin();
    },
    node: () => node,
    containers() {
      const all = [...table.all().values()];
      const context: StatusContext = { entries: entries(), registrations: all, state: states.peek };
      return [
        ...[...(source?.judged().values() ?? [])].map((judged) => containerStatus(judged, context)),
        ...all.filter(({ container }) => container === undefined).map((one) => configStatus(one, context)),
      ];
    },
    readiness: () => [
      ...(source === undefined ? [] : [source.readiness()]),
      announcer?.readiness() ?? { part: "announce", ready: false, reason: "waits for Docker to tell the node's name" },
    ],
    setState(service, id, state, forMs) {
      const key = entryKey(service, id);
      if (!table.all().has(key)) return false;
      states.set(key, state, forMs);
      return true;
    },
    reconfigure(next) {
      const before = docker;
      ({ docker, nerve } = next);
      if (!running) return;
      if (node !== undefined) table.sync(undefined, configOffers(nerve, node));
      if (docker !== false && before !== false && sameEngine(docker, before)) source?.reapply(docker);
      else reopen();
      wake();
    },
    async stop(mode) {
      running = false;
      const chosen = mode ?? nerve.on_stop;
      // By default Docker's entries outlive an upgrade of nerve, those of the configuration leave with it.
      const fromConfig = (key: string): boolean => entries().get(key)?.container === undefined;
      const fallback = docker === false ? "withdraw" : "keep";
      await announcer?.stop(chosen ?? fallback, (key) => chosen === undefined && fromConfig(key));
      source?.stop();
      table.stop();
      states.stop();
    },
  };

  /** Another engine, or none: what the old one's containers left stays until the new one's list is read. */
  function reopen(): void {
    const ids = [...(source?.judged().keys() ?? [])];
    source?.stop();
    source = docker === false ? undefined : openSource(docker);
    for (const id of ids) table.sync(id, []);
    if (docker === false && announcer === undefined) announceAs(configNode(nerve.instance_id, hostname()));
  }
}

function sameEngine(a: DockerConfig, b: DockerConfig): boolean {
  return a.host === b.host && JSON.stringify(a.filter) === JSON.stringify(b.filter);
}

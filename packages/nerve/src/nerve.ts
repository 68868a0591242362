import { hostname } from "node:os";
import {
  type Clock,
  type ContainerStatus,
  type EventBus,
  entryKey,
  type InstanceState,
  type Random,
  type Readiness,
  type Registry,
} from "@smartstack/core";
import type { DockerConfig, NerveConfig } from "./config.ts";
import { allStatus } from "./container-status.ts";
import { type DockerSource, dockerSource } from "./docker-source.ts";
import { mayComeBack } from "./entries.ts";
import { configNode, engineNode } from "./node-name.ts";
import { nodeVoice } from "./node-voice.ts";
import { configOffers } from "./offers.ts";
import { registrations } from "./registrations.ts";
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
  /** Takes a new configuration; what it does not concern goes on undisturbed. The node's name stays what it is until the next start. */
  reconfigure(options: NerveOptions): void;
  /** By on_stop when not said. Never throws; ≤ 3 s. */
  stop(mode?: "keep" | "withdraw"): Promise<void>;
}

/** Nothing starts before `start()`. */
export function createNerve(options: NerveOptions, deps: NerveDeps): Nerve {
  let { docker, nerve } = options;
  let running = false;
  let source: DockerSource | undefined;
  const states = instanceStates(deps.clock, () => voice.wake());
  const table = registrations({
    ...deps,
    announced: (key) => voice.entries().has(key),
    engineHealth: (id) => source?.judged().get(id)?.tracked.facts?.health,
    onChange: () => voice.wake(),
  });
  const voice = nodeVoice({ ...deps, table, states, source: () => source, name: () => nerve.instance_id });

  const announceAs = (node: string): void => {
    if (!running || voice.node() !== undefined) return;
    voice.begin(node);
    table.sync(undefined, configOffers(nerve, node));
  };
  /** Another engine, or none: what the last one's containers left stays until the new one's list is read. */
  const openSource = (): void => {
    const before = [...(source?.judged().keys() ?? [])];
    source?.stop();
    source = docker === false ? undefined : sourceOf(docker);
    for (const id of before) table.sync(id, []);
    if (docker === false) announceAs(configNode(nerve.instance_id, hostname()));
    else if (docker.node !== undefined) announceAs(docker.node);
  };
  const sourceOf = (config: DockerConfig): DockerSource =>
    dockerSource({
      ...deps,
      docker: config,
      nerve: () => nerve,
      registrations: table,
      onEngine: (info) => announceAs(engineNode(info.id)),
      onChange: () => {
        states.retain((key) => mayComeBack(key, voice.facts()));
        voice.wake();
      },
    });

  return {
    start() {
      if (running) return;
      running = true;
      openSource();
    },
    node: () => voice.node(),
    containers: () => allStatus(source?.judged(), voice.facts(), states.peek),
    readiness: () => [...(source === undefined ? [] : [source.readiness()]), voice.readiness()],
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
      const node = voice.node();
      if (node !== undefined) table.sync(undefined, configOffers(nerve, node));
      if (docker !== false && before !== false && sameEngine(docker, before)) source?.reapply(docker);
      else openSource();
      voice.wake();
    },
    async stop(mode) {
      running = false;
      const chosen = mode ?? nerve.on_stop;
      // By default Docker's entries outlive an upgrade of nerve, those of the configuration leave with it.
      const fromConfig = (key: string): boolean => voice.entries().get(key)?.container === undefined;
      const fallback = docker === false ? "withdraw" : "keep";
      await voice.stop(chosen ?? fallback, (key) => chosen === undefined && fromConfig(key));
      source?.stop();
      table.stop();
      states.stop();
    },
  };
}

function sameEngine(a: DockerConfig, b: DockerConfig): boolean {
  return a.host === b.host && JSON.stringify(a.filter) === JSON.stringify(b.filter);
}

import type { Clock, ContainerStatus, EventBus, InstanceState, Random, Readiness, Registry } from "@smartstack/core";
import type { NerveConfig } from "./config.ts";
import type { DockerConfig } from "./docker-config.ts";
import { targetOf } from "./docker-transport.ts";
import { createNodeNerve, type NodeNerve, type NodeNerveOptions } from "./node-nerve.ts";

export interface NerveOptions {
  /** One node each; none switches Docker off, and leaves one node for the services of the configuration. */
  readonly engines: readonly DockerConfig[];
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
  /** Known once the configuration or the engine has told it; several engines have several, separated by commas. */
  node(): string | undefined;
  /** Every container of the engines and every service from configuration, with the reason for what it is. */
  containers(): readonly ContainerStatus[];
  readiness(): readonly Readiness[];
  /** An operator's word, for everyone: kept in the document. `forMs`: back to up after that time. False when nothing is registered so. @throws StackError REGISTRY_FENCED when nobody would see it. */
  setState(service: string, id: string, state: InstanceState, forMs?: number): boolean;
  /**
   * Takes a new configuration; what it does not concern goes on undisturbed. A node's name stays what it is, as its
   * entries would have to leave and come back. Returns the keys whose change takes effect at the next start.
   */
  reconfigure(options: NerveOptions): readonly string[];
  /** By on_stop when not said. Never throws; ≤ 3 s. */
  stop(mode?: "keep" | "withdraw"): Promise<void>;
}

interface Member {
  /** Undefined: Docker is switched off. */
  readonly engine: DockerConfig | undefined;
  readonly nerve: NodeNerve;
  /** By which it holds its node's name. */
  readonly holder: object;
}

/** Nothing starts before `start()`. */
export function createNerve(options: NerveOptions, deps: NerveDeps): Nerve {
  const claims = new Map<string, object>();
  const leaving = new Set<Promise<void>>();
  let running = false;

  const memberOf = (wanted: NodeNerveOptions): Member => {
    const holder = {};
    const claim = (node: string): string | undefined => {
      const owner = claims.get(node) ?? holder;
      claims.set(node, owner);
      return owner === holder
        ? undefined
        : `node ${node} is that of another engine here: give each engine its own docker.node`;
    };
    const nerve = createNodeNerve(wanted, { ...deps, claim });
    if (running) nerve.start();
    return { engine: wanted.docker || undefined, nerve, holder };
  };
  const leave = ({ nerve, holder }: Member): void => {
    for (const [node, owner] of claims) if (owner === holder) claims.delete(node);
    const stopped = nerve.stop("withdraw").finally(() => {
      leaving.delete(stopped);
    });
    leaving.add(stopped);
  };
  const renew = (before: readonly Member[], wanted: readonly NodeNerveOptions[]): readonly string[] => {
    const pairs = pairUp(before, wanted);
    for (const member of before) if (![...pairs.values()].includes(member)) leave(member);
    const fixed = new Set<string>();
    members = wanted.map((one) => {
      const member = pairs.get(one);
      if (member === undefined) return memberOf(one);
      for (const key of member.nerve.reconfigure(one)) fixed.add(key);
      return { ...member, engine: one.docker || undefined };
    });
    return [...fixed];
  };
  let members = perNode(options).map(memberOf);

  return {
    start() {
      running = true;
      for (const { nerve } of members) nerve.start();
    },
    node: () => members.flatMap(({ nerve }) => nerve.node() ?? []).join(",") || undefined,
    containers: () => members.flatMap(({ nerve }) => nerve.containers()),
    readiness: () =>
      members.flatMap(({ nerve, engine }) =>
        members.length === 1 || engine === undefined ? nerve.readiness() : labelled(nerve.readiness(), engine),
      ),
    setState: (service, id, state, forMs) => members.some(({ nerve }) => nerve.setState(service, id, state, forMs)),
    reconfigure: (next) => renew(members, perNode(next)),
    async stop(mode) {
      running = false;
      await Promise.all([...members.map(({ nerve }) => nerve.stop(mode)), ...leaving]);
    },
  };
}

/** The services of the configuration belong to the first node. */
function perNode({ engines, nerve }: NerveOptions): readonly NodeNerveOptions[] {
  if (engines.length === 0) return [{ docker: false, nerve }];
  return engines.map((docker, at) => ({ docker, nerve: at === 0 ? nerve : { ...nerve, services: {} } }));
}

/** Who goes on as what: the node of the same engine; one node alone goes on as the one that is wanted, whatever its engine. */
function pairUp(before: readonly Member[], wanted: readonly NodeNerveOptions[]): ReadonlyMap<NodeNerveOptions, Member> {
  const [only] = before;
  const [next] = wanted;
  if (only !== undefined && next !== undefined && before.length === 1 && wanted.length === 1)
    return new Map([[next, only]]);
  const pairs = new Map<NodeNerveOptions, Member>();
  for (const one of wanted) {
    const member = before.find(({ engine }) => engine?.host === (one.docker || undefined)?.host);
    if (member !== undefined) pairs.set(one, member);
  }
  return pairs;
}

function labelled(parts: readonly Readiness[], { node, host }: DockerConfig): Readiness[] {
  return parts.map((part) => ({ ...part, part: `${part.part} ${node ?? targetOf(host)}` }));
}

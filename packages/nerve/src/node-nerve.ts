import { hostname } from "node:os";
import { type ContainerStatus, entryKey, type InstanceState, type Readiness } from "@smartstack/core";
import type { NerveConfig } from "./config.ts";
import { allStatus } from "./container-status.ts";
import type { DockerConfig } from "./docker-config.ts";
import { type DockerSource, dockerSource } from "./docker-source.ts";
import { mayComeBack } from "./entries.ts";
import type { NerveDeps } from "./nerve.ts";
import { configNode, engineNode } from "./node-name.ts";
import { nodeVoice } from "./node-voice.ts";
import { configOffers } from "./offers.ts";
import { registrations } from "./registrations.ts";
import { instanceStates } from "./states.ts";

export interface NodeNerveOptions {
  /** False switches Docker off. */
  readonly docker: DockerConfig | false;
  readonly nerve: NerveConfig;
}

export interface NodeNerveDeps extends NerveDeps {
  /** Makes the node's name ours, once and for all; otherwise says why it cannot be. */
  readonly claim: (node: string) => string | undefined;
}

/** nerve for one node: at most one engine, one session in the registry. */
export interface NodeNerve {
  start(): void;
  node(): string | undefined;
  containers(): readonly ContainerStatus[];
  readiness(): readonly Readiness[];
  setState(service: string, id: string, state: InstanceState, forMs?: number): boolean;
  /** Returns the keys whose change takes effect at the next start. */
  reconfigure(options: NodeNerveOptions): readonly string[];
  stop(mode?: "keep" | "withdraw"): Promise<void>;
}

/** What one node's nerve is made of, and what it was told last. */
interface Parts {
  readonly deps: NodeNerveDeps;
  readonly states: ReturnType<typeof instanceStates>;
  readonly table: ReturnType<typeof registrations>;
  readonly voice: ReturnType<typeof nodeVoice>;
  docker: DockerConfig | false;
  nerve: NerveConfig;
  running: boolean;
  /** What the configuration called the node when it began. */
  given: string | undefined;
  source: DockerSource | undefined;
}

/** Nothing starts before `start()`. */
export function createNodeNerve(options: NodeNerveOptions, deps: NodeNerveDeps): NodeNerve {
  const states = instanceStates(deps.clock, (key) => voice.changed([key]));
  const table = registrations({
    ...deps,
    announced: (key) => voice.announced(key),
    engineVerdict: (id) => parts.source?.judged().get(id)?.tracked.facts,
    onChange: (key) => voice.changed([key]),
  });
  const voice = nodeVoice({ ...deps, table, states, source: () => parts.source, config: () => parts.nerve });
  const { docker, nerve } = options;
  const parts: Parts = {
    deps,
    states,
    table,
    voice,
    docker,
    nerve,
    running: false,
    given: undefined,
    source: undefined,
  };

  return {
    start() {
      if (parts.running) return;
      parts.running = true;
      openSource(parts);
    },
    node: () => voice.node(),
    containers: () =>
      allStatus(parts.source?.judged(), {
        entries: voice.entries(),
        refusal: voice.refusal,
        registrationsOf: table.of,
        held: voice.held(),
        state: states.peek,
      }),
    readiness: () => [...(parts.source === undefined ? [] : [parts.source.readiness()]), voice.readiness()],
    setState(service, id, state, forMs) {
      const key = entryKey(service, id);
      if (!table.all().has(key)) return false;
      const fenced = voice.fenced();
      if (fenced !== undefined) throw fenced;
      states.set(key, state, forMs);
      return true;
    },
    reconfigure: (next) => reconfigure(parts, next),
    stop: (mode) => stop(parts, mode),
  };
}

function announceAs(parts: Parts, node: string): void {
  const { deps, voice, table, docker, nerve } = parts;
  if (!parts.running || voice.node() !== undefined) return;
  const problem = deps.claim(node);
  if (problem !== undefined) {
    voice.wait(problem);
    return;
  }
  parts.given = docker === false ? undefined : docker.node;
  voice.begin(node);
  table.sync(undefined, configOffers(nerve, node));
}

/** Another engine, or none: what the last one's containers left stays until the new one's list is read. */
function openSource(parts: Parts): void {
  const { docker, nerve, table } = parts;
  const before = [...(parts.source?.judged().keys() ?? [])];
  parts.source?.stop();
  parts.source = docker === false ? undefined : sourceOf(parts, docker);
  for (const id of before) table.sync(id, []);
  if (docker === false) announceAs(parts, configNode(nerve.instance_id, hostname()));
  else if (docker.node !== undefined) announceAs(parts, docker.node);
}

function sourceOf(parts: Parts, docker: DockerConfig): DockerSource {
  const { deps, states, table, voice } = parts;
  return dockerSource({
    ...deps,
    docker,
    nerve: () => parts.nerve,
    registrations: table,
    onEngine: (info) => {
      if (info !== undefined) announceAs(parts, engineNode(info.id));
    },
    onChange: voice.containerChanged,
    onListed() {
      const facts = voice.facts();
      states.retain((key) => mayComeBack(key, facts));
      voice.allChanged();
    },
  });
}

function reconfigure(parts: Parts, { docker, nerve }: NodeNerveOptions): readonly string[] {
  const { voice, table, docker: before } = parts;
  parts.docker = docker;
  parts.nerve = nerve;
  if (!parts.running) return [];
  const node = voice.node();
  if (node !== undefined) table.sync(undefined, configOffers(nerve, node));
  if (docker !== false && before !== false && sameEngine(docker, before)) parts.source?.reapply(docker);
  else openSource(parts);
  voice.allChanged();
  if (docker === false) return [];
  // It may have been waited for.
  if (docker.node !== undefined) announceAs(parts, docker.node);
  return docker.node === parts.given || docker.node === voice.node() ? [] : ["docker.node"];
}

async function stop(parts: Parts, mode: "keep" | "withdraw" | undefined): Promise<void> {
  const { voice, table, states, docker, nerve } = parts;
  parts.running = false;
  const chosen = mode ?? nerve.on_stop;
  // By default Docker's entries outlive an upgrade of nerve, those of the configuration leave with it.
  const fromConfig = (key: string): boolean => voice.entries().get(key)?.container === undefined;
  const fallback = docker === false ? "withdraw" : "keep";
  await voice.stop(chosen ?? fallback, (key) => chosen === undefined && fromConfig(key));
  parts.source?.stop();
  table.stop();
  states.stop();
}

/** Nothing changed of what containers are asked for: which engine, which containers, which parts of their environment. */
function sameEngine(a: DockerConfig, b: DockerConfig): boolean {
  const asked = ({ host, tls, filter, conventions }: DockerConfig): string =>
    JSON.stringify([host, tls, filter, conventions]);
  return asked(a) === asked(b);
}

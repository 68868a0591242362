import {
  type Clock,
  type EventBus,
  exponentialBackoff,
  keepAlive,
  type Random,
  type Readiness,
  StackError,
  sleep,
  type Transition,
} from "@smartstack/core";
import { type ContainerPicture, containerPicture, type Lens } from "./container-picture.ts";
import type { Tracked } from "./container-table.ts";
import { type ContainerFacts, containerFacts } from "./containers.ts";
import { envFilter } from "./conventions/index.ts";
import type { DockerApi, EngineInfo } from "./docker-api.ts";
import type { DockerConfig } from "./docker-config.ts";

// An engine that accepts and breaks off is asked at most ten times in ten seconds, however the jitter falls.
const RECONNECT = exponentialBackoff({ minMs: 250, maxMs: 2_500 });

const PING_MS = 10_000;
/** How soon the list is compared again while a container could not be inspected. */
const PROBLEM_MS = 2_000;

export interface WatchDeps {
  readonly config: DockerConfig;
  readonly reconcileMs: () => number;
  readonly openApi: (stopping: AbortSignal) => Promise<DockerApi>;
  /** What may be the id of the container that nerve itself runs in. */
  readonly ownHints: () => readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventBus;
  /**
   * The engine answered: who it is, unless the configuration names the node, and the container nerve runs in, if it is
   * one of this engine's. Called again with each comparison: that container may have been attached to another network.
   */
  readonly onEngine: (info: EngineInfo | undefined, own: ContainerFacts | undefined) => void;
  readonly onChange: (id: string) => void;
  /** After each list that was read whole. */
  readonly onListed: () => void;
}

export interface ContainerWatch {
  containers(): ReadonlyMap<string, Tracked>;
  /** By the first 12 digits of its id. */
  find(shortId: string): Tracked | undefined;
  /** Those that use this one's network. */
  usersOf(id: string): Iterable<string>;
  /** A list has been read: containers that are not known do not exist. */
  listed(): boolean;
  readiness(): Readiness;
  stop(): void;
}

/**
 * Keeps a picture of the engine's containers. The event stream is lossy by design, so events only say whom to look at
 * (and who leaves); the list is the truth: subscribe, then list, then apply; a ping every 10 s and a full comparison
 * every `reconcileMs`, earlier while an inspect has failed. Nothing is ever forgotten because a request failed.
 */
export function watchContainers(deps: WatchDeps): ContainerWatch {
  const { clock, random, events, config } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  let listed = false;
  let status: Readiness = { part: "docker", ready: false, reason: `docker: connecting to ${config.host}` };
  let distrust = new AbortController();
  const picture = containerPicture({
    clock,
    signal,
    onChange: deps.onChange,
    onDrift(container, what) {
      events.publish("docker.drift", { container, what });
      // A stream that kept one event back is not trusted with the next: it may be open and dead.
      distrust.abort(eventsLost(container, what));
    },
  });
  const onListed = (): void => {
    listed = true;
    deps.onListed();
  };
  const onTransition = (transition: Transition): void => {
    const engine = config.host;
    const up = transition.state === "up";
    status = { part: "docker", ready: up, reason: up ? `watching ${engine}` : `docker: ${transition.reason}` };
    if (up) events.publish("docker.connected", { engine });
    else events.publish("docker.disconnected", { engine, reason: transition.reason });
  };
  const watch = (inner: AbortSignal, healthy: () => void): Promise<void> => {
    distrust = new AbortController();
    return watchOnce(deps, picture, inner, healthy, onListed, distrust.signal);
  };
  void keepAlive(watch, {
    clock,
    random,
    signal,
    onTransition,
    backoff: RECONNECT,
  });
  return {
    containers: () => picture.all(),
    find: picture.find,
    usersOf: picture.usersOf,
    listed: () => listed,
    readiness: () => status,
    stop: () => stopping.abort(),
  };
}

/** One connection, from subscribing until it breaks. Always throws, except when `signal` aborts. */
async function watchOnce(
  deps: WatchDeps,
  picture: ContainerPicture,
  signal: AbortSignal,
  healthy: () => void,
  onListed: () => void,
  distrust: AbortSignal,
): Promise<void> {
  const { clock, config } = deps;
  const api = await deps.openApi(signal);
  // Who it is says only what the node is called, and a socket proxy need not allow the question.
  const info = config.node === undefined ? await api.info() : undefined;
  const own = await findOwn(api, deps.ownHints());
  const lens: Lens = { api, labels: labelFilters(config, own), keepsEnv: envFilter(config.conventions) };
  if (signal.aborted) return;
  deps.onEngine(info, own);
  const list = async (whole: boolean): Promise<void> => {
    const beganMs = clock.monotonic();
    const found = await api.list(lens.labels);
    if (signal.aborted) return;
    picture.list(found, beganMs, whole, lens);
    onListed();
  };
  const scope = new AbortController();
  const ending = AbortSignal.any([signal, scope.signal]);
  try {
    // Subscribe before listing: what starts between the two would otherwise stay unseen until its next event.
    const { closed } = await api.events((event) => picture.event(event, lens), ending);
    const steady = async (): Promise<void> => {
      await list(true);
      healthy();
      const pings = repeat(
        () => sleep(clock, PING_MS, ending),
        ending,
        () => api.ping(),
      );
      const due = (): Promise<void> => comparisonDue(clock, deps.reconcileMs, () => hasProblem(picture), ending);
      const lists = repeat(due, ending, async () => {
        const again = await findOwn(api, deps.ownHints());
        if (!signal.aborted) deps.onEngine(info, again);
        await list(false);
      });
      await Promise.all([pings, lists]);
    };
    await Promise.race([closed, steady(), rejection(distrust)]);
  } finally {
    scope.abort();
    picture.pause();
  }
}

/** Rejects with the signal's reason. */
function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function eventsLost(container: string, what: string): StackError {
  const text = `the engine's events were lost: ${container} ${what}, and no event said so; subscribing again`;
  return new StackError("DOCKER_EVENTS_LOST", text, { side: "docker", retry: "after-backoff" });
}

async function repeat(wait: () => Promise<void>, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  for (;;) {
    await wait();
    if (signal.aborted) return;
    await work();
  }
}

/** Resolves after `periodMs`; at most PROBLEM_MS after it was called while there is a problem; at once when `signal` aborts. */
async function comparisonDue(
  clock: Clock,
  periodMs: () => number,
  isPressing: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const beganMs = clock.monotonic();
  for (;;) {
    const leftMs = beganMs + periodMs() - clock.monotonic();
    if (leftMs <= 0 || signal.aborted) return;
    await sleep(clock, Math.min(leftMs, PROBLEM_MS), signal);
    if (isPressing()) return;
  }
}

function hasProblem(picture: ContainerPicture): boolean {
  return [...picture.all().values()].some(({ problem }) => problem !== undefined);
}

async function findOwn(api: DockerApi, hints: readonly string[]): Promise<ContainerFacts | undefined> {
  for (const hint of hints) {
    const json = await api.inspect(hint);
    // The engine also finds containers by name, and a host's name may be one.
    if (json?.Id?.startsWith(hint) === true) return containerFacts(json);
  }
  return undefined;
}

/** @throws StackError CONFIG_INVALID when "own" is asked for and nerve is in no compose project. Asked again, as containers are replaced. */
function labelFilters(config: DockerConfig, own: ContainerFacts | undefined): readonly string[] {
  const { label, project } = config.filter;
  const labels = label === undefined ? [] : typeof label === "string" ? [label] : label;
  if (project === undefined) return labels;
  const name = own?.labels["com.docker.compose.project"];
  if (name !== undefined) return [...labels, `com.docker.compose.project=${name}`];
  const why =
    own === undefined
      ? "nerve does not run in a container of this engine"
      : `nerve's container ${own.name} belongs to no compose project`;
  throw new StackError("CONFIG_INVALID", `docker.filter.project is own, but ${why}: set docker.filter.label`, {
    side: "config",
    retry: "after-backoff",
  });
}

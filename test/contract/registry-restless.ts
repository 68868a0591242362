import {
  type InstanceRecord,
  type NodeEntry,
  type Random,
  type Registry,
  type Session,
  StackError,
} from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { instancePath, nodePath } from "../../packages/registry/src/contents.ts";
import { owner } from "./registry-case.ts";
import { type Announcer, announcer } from "./registry-follower.ts";

/** Nerves that never rest: what they offer changes all the time, and now and then one of them dies and comes back. */
export interface RestlessNerves {
  /** Writes nothing more; resolves when nothing is under way and what failed has been written. */
  pause(): Promise<void>;
  resume(): void;
  /** What must lie in the registry while they pause: path → document. Of those that are dead it may lie there or not. */
  wanted(): ReadonlyMap<string, object>;
  /** Whether a node's nerve is there. */
  lives(node: string): boolean;
  counts(): Readonly<Counts>;
  /** Withdraws everything. */
  stop(): Promise<void>;
}

interface Counts {
  changes: number;
  /** Writes that their session refused or lost; each is repeated before the next pause. */
  failed: number;
  deaths: number;
}

export interface RestlessOptions {
  readonly services: readonly string[];
  readonly nodes: number;
  /** How many instances a node may have of a service. */
  readonly instances: number;
  readonly changesPerSecond: number;
  readonly random: Random;
  /** How long a dead nerve's entries live on, milliseconds. */
  readonly goneMs: number;
  /** A driver object of its own for each run of a nerve. */
  open(): Promise<Registry>;
}

interface Nerve {
  readonly node: string;
  readonly wanted: Map<string, InstanceRecord>;
  /** Paths with a write under way, and those whose write failed. */
  readonly busy: Set<string>;
  readonly failed: Set<string>;
  run: Run | undefined;
  boot: number;
  /** Dead until then; on the monotonic clock. */
  backMs: number;
}

interface Run {
  readonly registry: Registry;
  readonly announcer: Announcer;
  readonly owner: NodeEntry;
}

const TICK_MS = 10;
const CHANGES_PER_DEATH = 200;
/** More would only wait for each other. */
const UNDER_WAY_MAX = 64;
/** A server on a loaded machine lets sessions begin late; the deadlines of the calls that fail meanwhile are short. */
const PAUSE_MS_MAX = 60_000;

/** Resolves when all have announced for the first time. */
export async function restlessNerves(options: RestlessOptions): Promise<RestlessNerves> {
  const { random, services } = options;
  const counts: Counts = { changes: 0, failed: 0, deaths: 0 };
  const nerves = Array.from({ length: options.nodes }, (_, index) => newNerve(`node-${index}`));
  const underWay = new Set<Promise<void>>();
  let running = false;

  const pickLiving = (): Nerve | undefined => {
    const those = nerves.filter((nerve) => living(nerve) !== undefined);
    return those.length === 0 ? undefined : pick(those, random);
  };
  const begin = (work: Promise<void>): void => {
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  };
  const write = async (nerve: Nerve, session: Session, path: string): Promise<void> => {
    nerve.busy.add(path);
    try {
      const record = nerve.wanted.get(path);
      if (record !== undefined) await session.put(record);
      else await session.drop(...split(path));
      nerve.failed.delete(path);
    } catch (error) {
      if (!(error instanceof StackError)) throw error;
      counts.failed++;
      nerve.failed.add(path);
    } finally {
      nerve.busy.delete(path);
    }
  };
  // What is under way for a path is newer than any repair of it, which must not come after it.
  const repair = (nerve: Nerve, session: Session): void => {
    const paths = new Set([...nerve.wanted.keys(), ...session.entries().keys()]);
    for (const path of paths) if (!nerve.busy.has(path)) begin(write(nerve, session, path));
  };
  const change = (): void => {
    const nerve = pickLiving();
    const session = nerve && living(nerve);
    if (nerve === undefined || session === undefined) return;
    const service = pick(services, random);
    const id = `${nerve.node}-${Math.floor(random() * options.instances)}`;
    const path = instancePath(service, id);
    if (nerve.busy.has(path)) return;
    counts.changes++;
    const next = changed(nerve.wanted.get(path), service, id, random);
    if (next === undefined) nerve.wanted.delete(path);
    else nerve.wanted.set(path, next);
    begin(write(nerve, session, path));
    if (counts.changes % CHANGES_PER_DEATH === 0) begin(die(pickLiving()));
  };
  const die = async (nerve: Nerve | undefined): Promise<void> => {
    const run = nerve?.run;
    if (nerve === undefined || run === undefined) return;
    counts.deaths++;
    nerve.run = undefined;
    // Withdrawn and back at once, replaced by its next run before its entries end, or gone until they have ended.
    const how = pick(["withdraw", "replace", "crash"] as const, random);
    nerve.backMs = how === "crash" ? performance.now() + options.goneMs : Number.POSITIVE_INFINITY;
    await run.announcer.stop(how === "withdraw" ? "withdraw" : "keep");
    await run.registry.close();
    if (how !== "crash") await live(nerve);
  };
  const live = async (nerve: Nerve): Promise<void> => {
    nerve.backMs = Number.POSITIVE_INFINITY;
    const registry = await options.open();
    const by = owner(nerve.node, `b${++nerve.boot}`);
    const restore = (): InstanceRecord[] => [...nerve.wanted.values()];
    nerve.run = {
      registry,
      owner: by,
      announcer: announcer(registry, by, restore, (session) => repair(nerve, session)),
    };
    await announced(nerve);
  };
  const announced = async (nerve: Nerve): Promise<Session> => {
    const what = `a session of ${nerve.node}; it ended with ${String(nerve.run?.announcer.ended())}`;
    return until(() => living(nerve), { what, timeoutMs: PAUSE_MS_MAX });
  };

  const startedMs = performance.now();
  let dueMs = startedMs;
  const tick = (): void => {
    const nowMs = performance.now();
    const everyMs = 1_000 / options.changesPerSecond;
    for (; dueMs < nowMs; dueMs += everyMs) if (running && underWay.size < UNDER_WAY_MAX) change();
    if (!running) return;
    for (const nerve of nerves) if (nerve.run === undefined && nerve.backMs < nowMs) begin(live(nerve));
  };
  await Promise.all(nerves.map(live));
  const ticking = setInterval(tick, TICK_MS);
  running = true;

  const pause = async (): Promise<void> => {
    running = false;
    while (underWay.size > 0) await Promise.all(underWay);
    for (const nerve of nerves) {
      if (nerve.run === undefined) continue;
      const session = await announced(nerve);
      for (const path of [...nerve.failed]) await write(nerve, session, path);
    }
  };
  return {
    pause,
    resume() {
      running = true;
    },
    wanted: () => new Map(nerves.flatMap(documentsOf)),
    lives: (node) => nerves.some((nerve) => nerve.node === node && nerve.run !== undefined),
    counts: () => counts,
    async stop() {
      await pause();
      clearInterval(ticking);
      await Promise.all(
        nerves.map(async (nerve) => {
          await nerve.run?.announcer.stop("withdraw");
          await nerve.run?.registry.close();
          nerve.run = undefined;
        }),
      );
    },
  };
}

function newNerve(node: string): Nerve {
  return { node, wanted: new Map(), busy: new Set(), failed: new Set(), run: undefined, boot: 0, backMs: 0 };
}

function living({ run }: Nerve): Session | undefined {
  const session = run?.announcer.session();
  return session?.lost.aborted === false ? session : undefined;
}

/** Offered anew, withdrawn, or with another weight or state. */
function changed(
  record: InstanceRecord | undefined,
  service: string,
  id: string,
  random: Random,
): InstanceRecord | undefined {
  const any = (max: number): number => 1 + Math.floor(random() * max);
  if (record === undefined)
    return { service, id, instance: { host: "127.0.0.1", port: any(60_000), weight: any(256) } };
  const dice = random();
  if (dice < 0.3) return undefined;
  if (dice < 0.7) return { ...record, instance: { ...record.instance, weight: any(256) } };
  return { ...record, instance: { ...record.instance, state: pick(["up", "draining", "maintenance"], random) } };
}

function documentsOf({ node, wanted, run }: Nerve): [string, object][] {
  if (run === undefined) return [];
  const { owner: by } = run;
  return [
    [nodePath(node), by],
    ...[...wanted].map(([path, { instance }]): [string, object] => [path, { ...instance, node, boot: by.boot }]),
  ];
}

function split(path: string): [service: string, id: string] {
  const slash = path.indexOf("/");
  return [path.slice(0, slash), path.slice(slash + 1)];
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)] as T;
}

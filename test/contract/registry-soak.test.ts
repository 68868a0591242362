import type { Registry, Session } from "@smartstack/core";
import { seededRandom, until } from "@smartstack/core/testing";
import type { RegistryConfig } from "@smartstack/registry";
import { expect, test } from "vitest";
import { etcdRead, startEtcd, type TestServer } from "../support/etcd.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { processUsage } from "../support/memory.mjs";
import { startWatcher, type Watcher, type WatcherReport } from "../support/registry-watcher.ts";
import { type ProcessUsage, trends, type UsageSample } from "../support/usage-trend.ts";
import { startZooKeeper, TICK_MS, zookeeperRead } from "../support/zookeeper.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { openers } from "./registry-real-harness.ts";
import { type RestlessNerves, restlessNerves } from "./registry-restless.ts";

// Nerves that never rest, and watchers in processes of their own. At each checkpoint the nerves pause, and every watcher
// must have seen exactly what a client of another make reads then. CHURN_MS is how long all that takes.

const CHURN_MS = Number(process.env.CHURN_MS ?? 30_000);
const SEED = Number(process.env.CHURN_SEED ?? Math.floor(Math.random() * 2 ** 32));
const CHECKPOINTS = Math.min(60, Math.max(5, Math.round(CHURN_MS / 60_000)));
const CHANGES_PER_SECOND = 100;
const TTL_MS = 3_000;
const WATCHERS = 2;
const SERVICES = Array.from({ length: 10 }, (_, index) => `service-${index}`);
/** From the pause to equal sets; long for a loaded machine, no more than a moment on an idle one. */
const EQUAL_MS_MAX = 30_000;
/** What still differs after this is printed, though it may be no more than a loaded machine. */
const LATE_MS = 2_000;
const PREFIX = "/soak";
const QUIET_MS = 30_000;

interface Kind {
  readonly start: () => Promise<TestServer>;
  /** A linearizable read by a client that is not ours: path → text. */
  readonly read: (endpoint: string) => Promise<Map<string, string>>;
}

const KINDS: Readonly<Record<"etcd" | "zookeeper", Kind>> = {
  etcd: {
    start: startEtcd,
    read: async (endpoint) => {
      const found = await etcdRead(endpoint, `${PREFIX}/`);
      return new Map([...found].map(([key, text]) => [key.slice(PREFIX.length + 1), text]));
    },
  },
  zookeeper: { start: startZooKeeper, read: (endpoint) => zookeeperRead(endpoint, PREFIX) },
};

test.concurrent.for(["etcd", "zookeeper"] as const)(
  "%s: at each pause of a churn all see what lies there",
  { timeout: 2 * CHURN_MS + 120_000 },
  async (kind, { onTestFinished, onTestFailed }) => {
    // At once: the other kind may go on for an hour.
    onTestFailed(({ task }) => {
      for (const { message } of task.result?.errors ?? []) print(kind, `failed: ${message}`);
    });
    const server = await KINDS[kind].start();
    onTestFinished(() => server.stop());
    const config = { type: kind, hosts: [server.endpoint], prefix: PREFIX, ttl: TTL_MS } satisfies RegistryConfig;
    const watchers = Array.from({ length: WATCHERS }, () => startWatcher(config, { services: SERVICES }));
    for (const watcher of watchers) onTestFinished(() => watcher.stop());
    const open = (): Promise<Registry> => openers(config).open();
    const nerves = await restlessNerves({
      ...{ services: SERVICES, nodes: 8, instances: 3, changesPerSecond: CHANGES_PER_SECOND, open },
      ...{ random: seededRandom(SEED), goneMs: TTL_MS + TICK_MS + 1_000 },
    });
    const read = (): Promise<Lines> => linesRead(KINDS[kind].read(server.endpoint));
    const samples: UsageSample[] = [];
    const startedMs = performance.now();
    for (let number = 1; number <= CHECKPOINTS; number++) {
      const untilMs = startedMs + (number * CHURN_MS) / CHECKPOINTS - performance.now();
      await new Promise((resolve) => setTimeout(resolve, untilMs));
      await nerves.pause();
      const { found, reports, afterMs, late } = await equalSets(read, watchers, nerves);
      samples.push(sampleOf(reports));
      print(kind, `checkpoint ${number} of ${CHECKPOINTS}: ${found.length} entries, equal after ${afterMs} ms`);
      print(kind, `  ${JSON.stringify(nerves.counts())} ${reports.map(told).join("; ")}`);
      if (late.length > 0) print(kind, `  what was the last to come: ${late.slice(0, 3).join("; ")}`);
      nerves.resume();
    }
    await nerves.stop();
    await until(async () => (await equalSets(read, watchers, nerves)).found.length === 0, {
      ...{ what: "nothing is left", timeoutMs: EQUAL_MS_MAX },
    });
    for (const line of trends(samples)) print(kind, line);
  },
);

// etcd ends a connection whose pings it takes for too many: the fourth one is the first that can be.
test.concurrent("etcd: a quiet nerve and a quiet watcher keep their connections", {
  timeout: QUIET_MS + 60_000,
}, async ({ expect, onTestFinished }) => {
  const server = await startEtcd();
  onTestFinished(() => server.stop());
  const relay = await startFaultProxy(server.endpoint);
  onTestFinished(() => relay.close());
  const registry = await openers({ type: "etcd", hosts: [relay.endpoint], prefix: PREFIX, ttl: TTL_MS }).open();
  onTestFinished(() => registry.close());
  const announce = (): Promise<Session> => registry.announce(owner("quiet", "b1"), records("web", 3), NEVER);
  const session = await until(announce, { what: "a session", timeoutMs: 20_000 });
  const before = relay.open();
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  expect(relay.open()).toBe(before);
  const taken = relay.taken();
  await until(() => session.put(record("web", "late", 1)).then(() => true), { what: "a late write" });
  expect(relay.taken()).toBe(taken);
});

/** One for each entry, sorted; what tells one state of an entry from another. */
type Lines = readonly string[];

function linesOf(documents: readonly (readonly [path: string, document: object])[]): Lines {
  const line = ([path, document]: readonly [string, object]): string => {
    const { host, port, weight, state, node, boot } = document as Readonly<Record<string, unknown>>;
    return [path, host, port, weight, state, node, boot].join(" ");
  };
  return documents.map(line).sort();
}

async function linesRead(reading: Promise<ReadonlyMap<string, string>>): Promise<Lines> {
  return linesOf([...(await reading)].map(([path, text]) => [path, JSON.parse(text) as object]));
}

function nodeOf(line: string): string {
  return line.split(" ").at(-2) ?? "";
}

/** Reads until nerves and watchers agree with what lies there, and that has not changed meanwhile: entries of the dead may end. */
async function equalSets(
  read: () => Promise<Lines>,
  watchers: readonly Watcher[],
  nerves: RestlessNerves,
): Promise<{
  readonly found: Lines;
  readonly reports: readonly WatcherReport[];
  readonly afterMs: number;
  readonly late: readonly string[];
}> {
  const startedMs = performance.now();
  let late: readonly string[] = [];
  for (;;) {
    const found = await read();
    const reports = await Promise.all(watchers.map((watcher) => watcher.report("documents")));
    const afterMs = Math.round(performance.now() - startedMs);
    const ofLiving = found.filter((line) => nerves.lives(nodeOf(line)));
    const differences = [
      ...reports.flatMap((report, index) => unseen(found, report, `watcher ${index}`)),
      ...differencesOf(ofLiving, linesOf([...nerves.wanted()]), "nerves"),
    ];
    const moved = (await read()).join("\n") !== found.join("\n");
    if (!moved && differences.length === 0) return { found, reports, afterMs, late };
    if (afterMs > LATE_MS) late = moved ? ["entries of the dead end", ...differences] : differences;
    if (afterMs > EQUAL_MS_MAX) expect(differences, `${afterMs} ms after the pause, CHURN_SEED=${SEED}`).toEqual([]);
  }
}

function unseen(found: Lines, { documents = [] }: WatcherReport, who: string): string[] {
  if (documents.length !== SERVICES.length) return [`${who} follows ${documents.length} services`];
  return documents.flatMap(([service, present]) => {
    const there = found.filter((line) => line.startsWith(`${service}/`) || line.startsWith(".nodes/"));
    return differencesOf(there, linesOf(present), `${who} of ${service}`);
  });
}

/** What the read has and somebody lacks, and the other way round. */
function differencesOf(there: Lines, known: Lines, who: string): string[] {
  const [found, seen] = [new Set(there), new Set(known)];
  return [
    ...there.filter((line) => !seen.has(line)).map((line) => `${who} lacks ${line}`),
    ...known.filter((line) => !found.has(line)).map((line) => `${who} has ${line}`),
  ];
}

/** The process of each watcher, and this one, which has the nerves of both kinds. */
function sampleOf(reports: readonly WatcherReport[]): UsageSample {
  const watchers = reports.map(({ usage }, index): [string, ProcessUsage] => [`watcher ${index}`, usage]);
  return { atMs: performance.now(), processes: new Map([...watchers, ["nerves and test", processUsage()]]) };
}

function told({ usage, batches, resets }: WatcherReport): string {
  return `${Math.round(usage.residentBytes / 2 ** 20)} MiB, ${usage.descriptors} fds, ${batches} batches, ${resets} resets`;
}

function print(kind: string, line: string): void {
  process.stdout.write(`${kind} ${line}\n`);
}

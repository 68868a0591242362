import { writeFileSync } from "node:fs";
import path from "node:path";
import type { RegistryConfig } from "@smartstack/registry";
import { test } from "vitest";
import { startEtcd, type TestServer } from "../support/etcd.ts";
import { startZooKeeper } from "../support/zookeeper.ts";
import { measureChanges } from "./registry-changes.ts";
import { measureSynapse } from "./registry-synapse.ts";
import { measureWatcher } from "./registry-watching.ts";
import { announceAll, putOneByOne, recordsOf } from "./registry-writing.ts";

const ASKED = process.env.BENCH_REGISTRY ?? "both";
const CHANGES = Number(process.env.BENCH_CHANGES ?? 200);
const JSON_FILE = process.env.BENCH_JSON ?? "";
const TTL_MS = 10_000;
const LOAD_MS_BOUND = 3_000;
const SEEN_MS_BOUND = 100;

const SERVERS: Readonly<Record<"etcd" | "zookeeper", () => Promise<TestServer>>> = {
  etcd: () => startEtcd(),
  zookeeper: () => startZooKeeper(),
};
const KINDS = (["etcd", "zookeeper"] as const).filter((kind) => ASKED === "both" || ASKED === kind);
const SHAPES = [
  { services: 1, instances: 5_000 },
  { services: 1_000, instances: 10 },
];
const CASES = KINDS.flatMap((kind) => SHAPES.map((shape) => ({ kind, ...shape })));
const results: object[] = [];

test.each(CASES)("$kind: $services x $instances", async ({ kind, services, instances }) => {
  const server = await SERVERS[kind]();
  try {
    const config = {
      ...{ type: kind, hosts: [server.endpoint], prefix: "/bench/services", ttl: TTL_MS },
    } satisfies RegistryConfig;
    const records = recordsOf(services, instances);
    print(`\n${kind}: ${services} service(s) of ${instances}`);
    const putMs = await putOneByOne(config, records);
    row("one nerve writes them, 16 at a time", seconds(putMs));
    const { announceMs, session, close } = await announceAll(config, records);
    row("one nerve announces them at its start", seconds(announceMs));

    const watched = await measureWatcher(config, server.endpoint, records.length);
    const { loadedMs, cpuMs, before, loaded, peakBytes } = watched;
    row("a watching process loads them", `${seconds(loadedMs)} (bound ${seconds(LOAD_MS_BOUND)})`);
    row("  CPU, with the start of the process", seconds(cpuMs));
    row(
      "  resident memory",
      `${mebibytes(before)} before, ${mebibytes(loaded)} after, ${mebibytes(peakBytes)} at most`,
    );
    const changes = await measureChanges(session, watched, records, CHANGES);
    for (const { kind: what, p50Ms, p99Ms, maxMs, bytesToWatcher, bytesByWatcher } of changes) {
      row(
        `${what}: seen after`,
        `p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)} (bound ${ms(SEEN_MS_BOUND)}), at most ${ms(maxMs)}`,
      );
      row(
        "  a watcher's bytes per change",
        `${Math.round(bytesToWatcher)} received, ${Math.round(bytesByWatcher)} sent`,
      );
    }
    await watched.stop();

    const synapse = await measureSynapse(config, session, records, CHANGES);
    row("a synapse knows them", `${seconds(synapse.loadedMs)} after its start (bound ${seconds(LOAD_MS_BOUND)})`);
    row("  its CPU, resident memory", `${seconds(synapse.loadCpuMs)}, ${mebibytes(synapse.residentBytes)}`);
    row(
      "  a change is applied after",
      `p50 ${ms(synapse.p50Ms)}, p99 ${ms(synapse.p99Ms)}, at most ${ms(synapse.maxMs)}`,
    );
    row(
      "  its CPU per change, and at rest",
      `${ms(synapse.cpuMsPerChange)}, ${(synapse.quietCpuShare * 100).toFixed(1)} % of a core`,
    );
    await close();
    const watcher = { loadedMs, cpuMs, before, loaded, peakBytes };
    results.push({ kind, services, instances, putMs, announceMs, watcher, changes, synapse });
    if (JSON_FILE !== "") writeFileSync(path.resolve(JSON_FILE), `${JSON.stringify(results, null, 2)}\n`);
  } finally {
    await server.stop();
  }
});

function row(what: string, figure: string): void {
  print(`  ${what.padEnd(42)}${figure}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function seconds(value: number): string {
  return `${(value / 1_000).toFixed(2)} s`;
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

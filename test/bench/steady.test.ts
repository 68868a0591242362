import { request } from "node:http";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startStack } from "../e2e/support/stack.ts";
import { watchEngine } from "../scenarios/support/engine-events.ts";
import { onLines } from "../scenarios/support/ledger.ts";
import { PREFIX } from "../scenarios/support/stage.ts";
import { NODE_IMAGE } from "../support/container.ts";
import { type OwnEngine, startDocker } from "../support/docker.ts";
import { type DockerProxy, startDockerProxy } from "../support/docker-proxy.ts";
import { engineCall, inParallel } from "../support/engine-api.ts";
import { etcdKeepalives, etcdRevision, startEtcd, type TestServer } from "../support/etcd.ts";
import { importNodeImage } from "../support/image.ts";
import { slopeOf } from "../support/slope.ts";
import { tallyEtcd } from "../support/tally.ts";
import { type Usage, usageOf } from "../support/usage.ts";

const MINUTES = Number(process.env.BENCH_MINUTES ?? 10);
const CONTAINERS = Number(process.env.BENCH_CONTAINERS ?? 50);
const HURRIED = 5;
const TTL_MS = 10_000;
const SERVICE = "steady";
/** What a start leaves to be tidied up, the runtime's own work most of all, is not steady yet. */
const SETTLE_MS = 60_000;
const LOOK_EVERY_MS = 5_000;

let engine: OwnEngine;
let server: TestServer;
let proxy: DockerProxy;
beforeAll(async () => {
  [engine, server] = await Promise.all([startDocker(), startEtcd()]);
  await importNodeImage(engine);
  proxy = await startDockerProxy({ socket: engine.socket });
});
afterAll(async () => {
  await proxy?.close();
  await server?.stop();
  engine?.stop();
});

/** What starting and stopping may take beside what is measured. */
const AROUND_MS = 15 * 60_000;

test("steady", { timeout: MINUTES * 60_000 + AROUND_MS }, async () => {
  const tally = await tallyEtcd(server.endpoint, PREFIX, SERVICE);
  const nerve = await startStack("nerve", {
    registry: { type: "etcd", hosts: [server.endpoint], prefix: PREFIX, ttl: `${TTL_MS}ms` },
    docker: { host: proxy.host, node: SERVICE, address: "container", network: "bridge" },
    on_stop: "withdraw",
  });
  try {
    const ids = await inParallel([...Array(CONTAINERS).keys()], 4, (at) => run(at < HURRIED ? 1 : 5));
    await until(() => tally.present().count === CONTAINERS, { what: "all are registered", timeoutMs: 300_000 });
    await pause(SETTLE_MS);
    const { pid } = nerve.child;
    const told = eventsAsAskedFor();
    const { before, after, samples } = await watchFor(MINUTES * 60_000, pid);
    const [first = ""] = ids;
    const seenMs = await oneChange(first, () => tally.present());
    const spanMs = after.atMs - before.atMs;
    const [low = 0, high = 0] = [samples[0], samples.at(-1)].map((sample) => (sample?.residentBytes ?? 0) / 2 ** 20);
    const lines = [
      `${CONTAINERS} containers for ${MINUTES} minutes over etcd, ttl ${TTL_MS / 1_000} s`,
      `revision moved by ${after.revision - before.revision} (target 0)`,
      `${((after.keepalives - before.keepalives) / (spanMs / (TTL_MS / 3))).toFixed(2)} keepalives per ttl/3 (target 1)`,
      `nerve's CPU ${(((after.usage.cpuMs - before.usage.cpuMs) / spanMs) * 100).toFixed(2)} % of a core (target < 2)`,
      `resident memory ${low.toFixed(1)} MiB at first, ${high.toFixed(1)} at last, ${growth(samples)} MiB an hour, ${growth(samples.slice(samples.length / 2))} in the second half`,
      `asked the engine ${after.requests - before.requests} times, ${inspects(before.requests, after.requests)} of them inspects; it told ${told.lines()} events`,
      `one turned unhealthy: its entry was gone ${seenMs.toFixed(0)} ms later (target 1000)`,
    ];
    process.stdout.write(`\n${lines.join("\n  ")}\n`);
    told.close();
    expect(after.revision).toBe(before.revision);
  } finally {
    await nerve.stop();
    await tally.close();
  }
});

async function run(intervalS: number): Promise<string> {
  const { Id } = (await engineCall(engine.socket, "POST", "/containers/create", {
    Image: NODE_IMAGE,
    Cmd: ["busybox", "sleep", "86400"],
    Labels: { "smartstack.service": SERVICE, "smartstack.port": "80" },
    Healthcheck: { Test: ["CMD", "busybox", "test", "!", "-e", "/tmp/sick"], Interval: intervalS * 1e9, Retries: 1 },
  })) as { readonly Id: string };
  await engineCall(engine.socket, "POST", `/containers/${Id}/start`);
  return Id;
}

interface Moment {
  readonly atMs: number;
  readonly revision: number;
  readonly keepalives: number;
  readonly requests: number;
  readonly usage: Usage;
}

async function momentOf(pid: number): Promise<Moment> {
  const [revision, keepalives] = await Promise.all([etcdRevision(server.endpoint), etcdKeepalives(server.endpoint)]);
  return { atMs: Date.now(), revision, keepalives, requests: proxy.requests.length, usage: usageOf(pid) };
}

interface Sample {
  readonly atMs: number;
  readonly residentBytes: number;
}

async function watchFor(ms: number, pid: number): Promise<{ before: Moment; after: Moment; samples: Sample[] }> {
  const before = await momentOf(pid);
  const samples: Sample[] = [];
  while (Date.now() - before.atMs < ms) {
    await pause(LOOK_EVERY_MS);
    samples.push({ atMs: Date.now(), residentBytes: usageOf(pid).residentBytes });
  }
  return { before, after: await momentOf(pid), samples };
}

/** MiB an hour, with 95 % limits. */
function growth(samples: readonly Sample[]): string {
  const { perUnit, low, high } = slopeOf(
    samples.map(({ atMs, residentBytes }) => [atMs / 3_600_000, residentBytes / 2 ** 20]),
  );
  return `${perUnit.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

function inspects(from: number, to: number): number {
  return proxy.requests.slice(from, to).filter((asked) => /\/containers\/[0-9a-f]{64}\/json/.test(asked)).length;
}

/** A second subscription in the words of nerve's: what its filters let through. */
function eventsAsAskedFor(): { lines(): number; close(): void } {
  const asked = proxy.requests.find((one) => one.includes("/events"))?.slice("GET ".length) ?? "";
  const [path = "", query = ""] = asked.split("?filters=");
  const target = `${path}?filters=${encodeURIComponent(query)}`;
  let lines = 0;
  const outgoing = request({ socketPath: engine.socket, path: target, agent: false }, (response) => {
    expect(response.statusCode).toBe(200);
    onLines(response, () => {
      lines += 1;
    });
    response.on("error", () => undefined);
  });
  outgoing.on("error", () => undefined);
  outgoing.end();
  return { lines: () => lines, close: () => void outgoing.destroy() };
}

/** Makes one unhealthy; the milliseconds from the engine's event to the end of its entry. */
async function oneChange(id: string, present: () => { count: number; atMs: number }): Promise<number> {
  const watched = watchEngine(engine);
  // Its subscription has to be there first; nothing tells when it is.
  await pause(2_000);
  await engine.docker("exec", id, "busybox", "touch", "/tmp/sick");
  const event = await until(() => watched.events.find(({ action }) => action === "health_status: unhealthy"), {
    what: "the engine calls it unhealthy",
    timeoutMs: 30_000,
  });
  await until(() => present().count === CONTAINERS - 1, { what: "its entry is gone", timeoutMs: 30_000 });
  await watched.close();
  return present().atMs - event.atMs;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

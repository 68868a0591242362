// Backends are killed, added, reweighed and drained five times a second under load: no request fails, and no connection
// breaks that its change does not concern. HOT_CHANGE_S is how long each lasts.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { seededRandom, until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { afterEach, expect, it } from "vitest";
import { onLines } from "../scenarios/support/ledger.ts";
import { startChild } from "../support/children.ts";
import { startLoad } from "../support/load.ts";
import { watchPauses } from "../support/pauses.ts";
import { freePort } from "../support/ports.ts";
import { type SequenceStream, startSequenceStream } from "../support/sequence-stream.ts";
import { type ChurnedPool, HTTP, startChurnedPool, TCP } from "./support/churned-pool.ts";

const COMMAND = fileURLToPath(new URL("../../packages/cli/bin/smartstack.js", import.meta.url));
const SECONDS = Number(process.env.HOT_CHANGE_S ?? 10);
const CHANGE_EVERY_MS = 200;
const REPLACE_EVERY_MS = 5_000;
const STREAMS = 12;
/** What a killed process may need to be gone. */
const DYING_MS = 500;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function synapseConfig(folder: string, ports: readonly number[], keys: string): string {
  const services = [HTTP, TCP].map(
    (name, n) => `  ${name}: {proxy: {mode: ${name === HTTP ? "http" : "tcp"}, listen: ["127.0.0.1:${ports[n]}"]}}\n`,
  );
  return `registry: {type: file, prefix: ${folder}/registry}\nadmin: {listen: "unix:${folder}/admin.sock"}\n${keys}services:\n${services.join("")}`;
}

/** Often enough for every worker to be asked. */
async function servesBoth([http, tcp]: readonly number[]): Promise<boolean> {
  const streams = Array.from({ length: 24 }, () => startSequenceStream(tcp as number, 5));
  try {
    const answers = await Promise.all(streams.map(() => fetch(`http://127.0.0.1:${http}/`)));
    await until(() => streams.every((stream) => stream.count() > 0), { what: "all streams", timeoutMs: 1_000 });
    return answers.every(({ ok }) => ok);
  } finally {
    for (const stream of streams) stream.stop();
  }
}

/** Streams that are opened again when the end of one was to be expected. */
function watchStreams(port: number, { leaving, lastEndMs }: ChurnedPool) {
  const pauses = watchPauses();
  const dyingMs = (): number => DYING_MS + pauses.stoodStillMs(performance.timeOrigin + lastEndMs());
  const streams: SequenceStream[] = Array.from({ length: STREAMS }, () => startSequenceStream(port, 5));
  const failures: string[] = [];
  let lines = 0;
  const look = setInterval(() => {
    for (const [index, stream] of streams.entries()) {
      const failure = stream.failure();
      if (failure === undefined) continue;
      lines += stream.count();
      const backend = stream.backend();
      // One that no backend has greeted yet may have stood in the queue of one that was ended, however late that is seen.
      const concerned = backend === undefined ? stream.startedMs - lastEndMs() < dyingMs() : leaving.has(backend);
      if (!concerned) failures.push(`${backend ?? "nobody"}: ${failure}`);
      streams[index] = startSequenceStream(port, 5);
    }
  }, 20);
  return {
    stop() {
      clearInterval(look);
      pauses.stop();
      for (const stream of streams) stream.stop();
      return { failures, lines: lines + streams.reduce((sum, stream) => sum + stream.count(), 0) };
    },
  };
}

it.each([
  ["one process", "", false],
  ["two workers that are replaced", "workers: 2\n", true],
])("changes of backends fail no request and break no stream: %s", async (what, keys, replaces) => {
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-hot-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const deps = { clock: systemClock, random: systemRandom, events: eventBus() };
  const registry = await openRegistry({ type: "file", prefix: `${folder}/registry`, ttl: 10_000 }, deps);
  closers.push(() => registry.close());
  const owner = { node: "n1", boot: "b1", since: 0, host: "test" };
  const session = await registry.announce(owner, [], new AbortController().signal);
  const pool = await startChurnedPool(session, seededRandom(SECONDS));
  closers.push(pool.close);
  const ports = [await freePort(), await freePort()];
  writeFileSync(`${folder}/synapse.yml`, synapseConfig(folder, ports, keys));
  const synapse = startChild(process.execPath, [COMMAND, "synapse", "-c", `${folder}/synapse.yml`]);
  closers.push(() => synapse.stop());
  let replaced = 0;
  onLines(synapse.process.stdout, (line) => {
    if (line.includes('"workers.replaced"')) replaced++;
  });
  await until(() => servesBoth(ports), { what: "both services, in all processes" });

  const load = startLoad({
    port: ports[0] as number,
    keepAliveClients: 32,
    newPerSecond: 150,
    pauseMs: 12,
    postEvery: 0,
  });
  const streams = watchStreams(ports[1] as number, pool);
  const startedMs = performance.now();
  let replacements = 0;
  for (let count = 1; count * CHANGE_EVERY_MS < SECONDS * 1_000; count++) {
    await pool.change();
    const due = performance.now() - startedMs > (replacements + 0.5) * REPLACE_EVERY_MS;
    if (replaces && due && replaced === replacements) {
      replacements++;
      process.kill(synapse.pid, "SIGUSR2");
    }
    const restMs = startedMs + count * CHANGE_EVERY_MS - performance.now();
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
  }
  const tookS = (performance.now() - startedMs) / 1_000;
  const records = await load.stop();
  const { failures, lines } = streams.stop();
  const rate = Math.round(records.length / tookS);
  console.info(`${what}: ${records.length} requests (${rate}/s), ${lines} lines, ${JSON.stringify(pool.counts)}`);
  if (replaces) await until(() => replaced === replacements, { what: `${replacements} replacements` });
  expect(records.filter(({ status, error }) => status !== 200 || error !== undefined)).toEqual([]);
  expect(failures).toEqual([]);
  for (const count of Object.values(pool.counts)) expect(count).toBeGreaterThan(0);
});

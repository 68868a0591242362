// Many backends, many services, changes of weights while requests run, and two workers: CPU time a request, with the
// changes' own in it, over HAProxy's in the same round, and over ours with one backend at rest.

import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cpuSecondsOfAll, median, startPinned, wrk } from "./measure.mjs";

const LOAD_CORE = 0;
const PROXY_CORE = 1;
const BOTH_CORES = "0,1";
const PROXY = fileURLToPath(new URL("changing-proxy.mjs", import.meta.url));
const CONNECTIONS = 64;
const CHANGE_EVERY_MS = 5;

/** Backends of the service that is asked, services in all, changes of a weight a second; processes, or HAProxy's threads. */
const ROWS = [
  { name: "one backend, at rest", backends: 1, services: 1, rate: 0 },
  { name: "100 backends", backends: 100, services: 1, rate: 0 },
  { name: "1,000 services", backends: 1, services: 1_000, rate: 0 },
  { name: "100 backends, 1,000 services", backends: 100, services: 1_000, rate: 0 },
  { name: "… 20 changes a second", backends: 100, services: 1_000, rate: 20 },
  { name: "… 1,000 changes a second", backends: 100, services: 1_000, rate: 1_000 },
  { name: "one backend, 2 workers", backends: 1, services: 1, rate: 0, workers: 2 },
  { name: "… 100 backends, 20 changes", backends: 100, services: 1_000, rate: 20, workers: 2 },
];

const PROXIES = { smartstack: startOurs, haproxy: startHaProxy };

/** Measures and prints the rows whose name has `row`. `setup`: `{folder, port, backendPort, seconds, rounds, row, print}`. */
export async function changeRows(setup) {
  const rows = ROWS.filter(({ name }, at) => at === 0 || name.includes(setup.row));
  const runs = rows.map(() => ({ smartstack: [], haproxy: [] }));
  for (let round = 0; round < setup.rounds; round++)
    for (const [at, row] of rows.entries())
      for (const [name, start] of Object.entries(PROXIES)) runs[at][name].push(await measure(start, row, setup));
  return rows.map(({ name }, at) => {
    const { smartstack, haproxy } = runs[at];
    const of = (all, key) => median(all.map((run) => run[key]));
    const over = (others) => median(smartstack.map((run, round) => run.cpuMicros / others[round].cpuMicros));
    const report = {
      name,
      cpuMicros: Number(of(smartstack, "cpuMicros").toFixed(1)),
      ratio: Number(over(haproxy).toFixed(2)),
      overPlain: Number(over(runs[0].smartstack).toFixed(2)),
      haproxyOverPlain: Number(
        median(haproxy.map((run, round) => run.cpuMicros / runs[0].haproxy[round].cpuMicros)).toFixed(2),
      ),
      p99Ms: of(smartstack, "p99Ms"),
      errors: smartstack.reduce((sum, run) => sum + run.errors, 0),
    };
    setup.print(rowText(report));
    return report;
  });
}

function rowText({ name, cpuMicros, ratio, overPlain, haproxyOverPlain, p99Ms, errors }) {
  const figures = `${cpuMicros.toFixed(1).padStart(6)} µs CPU ${ratio.toFixed(2).padStart(6)} × haproxy`;
  const plain = `${overPlain.toFixed(2)} × at rest (haproxy ${haproxyOverPlain.toFixed(2)})`;
  return `  ${name.padEnd(30)} ${figures}  ${plain}  p99 ${p99Ms} ms  errors ${errors}`;
}

async function measure(start, row, setup) {
  const { folder, port, seconds } = setup;
  const proxy = await start({ workers: 1, ...row }, setup);
  const load = { url: `http://127.0.0.1:${port}/`, connections: CONNECTIONS };
  // Compiled, and connected to its backends.
  await wrk(LOAD_CORE, folder, { ...load, seconds: 1 });
  const before = cpuSecondsOfAll(proxy.pid);
  const seen = await wrk(LOAD_CORE, folder, { ...load, seconds });
  const cpuMicros = ((cpuSecondsOfAll(proxy.pid) - before) / seen.requests) * 1e6;
  await proxy.stop();
  return { ...seen, cpuMicros };
}

function startOurs({ backends, services, rate, workers }, { port, backendPort }) {
  const args = [PROXY, port, backendPort, backends, services, rate, workers].map(String);
  return startPinned(workers === 1 ? PROXY_CORE : BOTH_CORES, process.execPath, args, port);
}

async function startHaProxy({ backends, services, rate, workers }, { folder, port, backendPort }) {
  const file = path.join(folder, "haproxy-changes.cfg");
  const socket = path.join(folder, "haproxy.sock");
  const servers = (count) =>
    Array.from({ length: count }, (_, n) => `  server s${n} 127.0.0.1:${backendPort}\n`).join("");
  const others = Array.from({ length: services - 1 }, (_, n) => `backend other${n}\n${servers(3)}`).join("");
  writeFileSync(
    file,
    `global
  nbthread ${workers}
  maxconn 8000
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
listen web
  bind 127.0.0.1:${port}
${servers(backends)}${others}`,
  );
  const core = workers === 1 ? PROXY_CORE : BOTH_CORES;
  const proxy = await startPinned(core, "/usr/sbin/haproxy", ["-db", "-f", file], port);
  const stopChanges = rate === 0 ? () => undefined : changeWeights(socket, backends, rate);
  return {
    pid: proxy.pid,
    stop() {
      stopChanges();
      return proxy.stop();
    },
  };
}

/** What changed since the last time goes as one line: a connection for each change would measure connections. */
function changeWeights(socket, backends, rate) {
  const startedMs = performance.now();
  let changed = 0;
  const timer = setInterval(() => {
    const commands = [];
    for (const due = ((performance.now() - startedMs) / 1_000) * rate; changed < due; changed++)
      commands.push(`set weight web/s${changed % backends} ${1 + (changed % 5)}`);
    if (commands.length > 0)
      connect(socket)
        .on("error", () => undefined)
        .end(`${commands.join(";")}\n`)
        .resume();
  }, CHANGE_EVERY_MS);
  return () => clearInterval(timer);
}

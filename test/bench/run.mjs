// `npm run bench`: what our proxy costs a request beside HAProxy with one thread, nginx and the proxies of the Node
// world, in the same run, with the same backend (nginx) and load (wrk). The measured program has one core to itself,
// backend and load share the other. Figures of two machines, or of two runs, do not compare; the ratios do.
//   --seconds 2 --rounds 5   how long a measurement takes, and how many alternate
//   --case TEXT              only cases whose name has it
//   --with a,b               only these contenders; smartstack and haproxy are always there
//   --idle 5000              connections of the memory cases; 0 leaves them out
//   --port 18080             the first of the 64 ports it uses
//   --json FILE              everything once more, for programs
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled } from "../../deploy/ensure.mjs";
import { backendConfig } from "./backend.mjs";
import { CASES } from "./cases.mjs";
import { changeRows } from "./change-rows.mjs";
import { CONTENDERS } from "./contenders.mjs";
import { IDLE_CASES, idleKiB, restingMiB } from "./idle.mjs";
import { benchFolder, cpuSeconds, median, needPrograms, pause, responseOf, startPinned, wrk } from "./measure.mjs";

const LOAD_CORE = 0;
const PROXY_CORE = 1;
const PROGRAMS = {
  haproxy: "/usr/sbin/haproxy",
  "nginx-light": "/usr/sbin/nginx",
  wrk: "/usr/bin/wrk",
  "etcd-server": "/usr/bin/etcd",
};

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    case: { type: "string", default: "" },
    with: { type: "string" },
    idle: { type: "string", default: "5000" },
    port: { type: "string", default: "18080" },
    json: { type: "string" },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const BACKEND_PORT = Number(options.port);
const cases = CASES.filter(({ name }) => name.includes(options.case));
const names = Object.keys(CONTENDERS).filter(
  (name) => ["smartstack", "haproxy"].includes(name) || (options.with?.split(",").includes(name) ?? true),
);

const folder = benchFolder();

try {
  needPrograms(PROGRAMS);
  await ensureInstalled();
  await ensureBuilt();
  const report = await bench();
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}

async function bench() {
  await startPinned(
    LOAD_CORE,
    PROGRAMS["nginx-light"],
    ["-c", backendConfig(folder, BACKEND_PORT), "-p", folder],
    BACKEND_PORT,
  );
  const proxies = [];
  for (const [index, name] of names.entries()) {
    const ports = { http: BACKEND_PORT + 10 + 2 * index, tcp: BACKEND_PORT + 11 + 2 * index };
    const { modes, start } = CONTENDERS[name];
    const running = await start({ folder, core: PROXY_CORE, ports, backendPort: BACKEND_PORT });
    proxies.push({ name, modes, ports, ...running });
  }
  const report = { cases: [], idle: [], resting: {}, changes: [] };
  for (const each of cases) report.cases.push(await runCase(proxies, each));
  if (options.case === "" && Number(options.idle) > 0) await measureMemory(proxies, report);
  if (options.case === "") report.changes = await measureChanges(proxies);
  return report;
}

async function runCase(proxies, each) {
  const able = proxies.filter(({ modes }) => modes.includes(each.mode));
  for (const proxy of able) await proveForwarding(proxy, each);
  const runs = new Map(able.map(({ name }) => [name, []]));
  // Alternating, so that whatever else the machine does meets all.
  for (let round = 0; round < rounds; round++)
    for (const proxy of able) runs.get(proxy.name).push(await measure(proxy, each));
  const rows = able.map(({ name }) => summary(name, runs));
  print(`\n${each.name}`);
  for (const row of rows) print(rowText(row));
  return { case: each.name, rows };
}

/** A proxy that answers wrongly is fast for nothing. */
async function proveForwarding(proxy, each) {
  const ask = (port) => responseOf(`http://127.0.0.1:${port}${each.path}`, each);
  const [direct, through] = [await ask(BACKEND_PORT), await ask(proxy.ports[each.mode])];
  if (direct.status === 200 && through.status === 200 && through.body.equals(direct.body)) return;
  throw new Error(
    `${proxy.name} does not forward "${each.name}" correctly: status ${through.status}, ${through.body.length} bytes`,
  );
}

async function measure(proxy, each) {
  const before = cpuSeconds(proxy.pid);
  const url = `http://127.0.0.1:${proxy.ports[each.mode]}${each.path}`;
  const seen = await wrk(LOAD_CORE, folder, { ...each, url, seconds });
  const cpu = cpuSeconds(proxy.pid) - before;
  await pause(200);
  return { ...seen, perSecond: seen.requests / seconds, cpuMicros: (cpu / seen.requests) * 1e6 };
}

/** Medians of the rounds; the ratio is the median of the rounds' ratios. */
function summary(name, runs) {
  const mine = runs.get(name);
  const of = (key) => median(mine.map((run) => run[key]));
  const ratios = mine.map((run, round) => run.cpuMicros / runs.get("haproxy")[round].cpuMicros);
  return {
    name,
    perSecond: Math.round(of("perSecond")),
    cpuMicros: Number(of("cpuMicros").toFixed(1)),
    ratio: Number(median(ratios).toFixed(2)),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
    errors: mine.reduce((sum, run) => sum + run.errors, 0),
  };
}

async function measureMemory(proxies, report) {
  const count = Number(options.idle);
  for (const each of IDLE_CASES) {
    print(`\n${each.name}, KiB each of ${count}`);
    for (const proxy of proxies.filter(({ modes }) => modes.includes(each.mode))) {
      const kib = Number((await idleKiB(LOAD_CORE, proxy, each, count)).toFixed(1));
      report.idle.push({ case: each.name, name: proxy.name, kib });
      print(`  ${proxy.name.padEnd(24)} ${String(kib).padStart(7)}`);
    }
  }
  const ports = { listen: BACKEND_PORT + 60, etcd: BACKEND_PORT + 61, etcdPeer: BACKEND_PORT + 62 };
  report.resting = await restingMiB(PROXY_CORE, folder, ports);
  print("\nresident at rest, MiB");
  for (const [name, mib] of Object.entries(report.resting)) print(`  ${name.padEnd(24)} ${String(mib).padStart(7)}`);
}

async function measureChanges(proxies) {
  for (const { stop } of proxies) await stop();
  print("\nmany backends and services, changes, and workers");
  const setup = { folder, port: BACKEND_PORT + 63, backendPort: BACKEND_PORT, seconds, rounds, row: "", print };
  return changeRows(setup);
}

function rowText({ name, perSecond, cpuMicros, ratio, p50Ms, p99Ms, errors }) {
  const figures = `${String(perSecond).padStart(7)}/s ${String(cpuMicros).padStart(7)} µs CPU ${ratio.toFixed(2).padStart(6)} × haproxy`;
  return `  ${name.padEnd(24)} ${figures}  p50 ${p50Ms} ms  p99 ${p99Ms} ms  errors ${errors}`;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

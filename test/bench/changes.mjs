// `npm run bench:changes`: what backends, services and changes of them cost our data path, beside one backend at rest.
// HAProxy has no equal to compare with: what it is told at run time cannot add services. CPU time a request, with the
// changes' own in it; the ratios are the medians of the rounds', each to the plain one of its round.
//   --seconds 3 --rounds 5   how long a measurement takes, and how many alternate
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled } from "../../deploy/ensure.mjs";
import { backendConfig } from "./backend.mjs";
import { benchFolder, cpuSeconds, median, needPrograms, startPinned, wrk } from "./measure.mjs";

const LOAD_CORE = 0;
const PROXY_CORE = 1;
const BACKEND_PORT = 18_280;
const PORT = BACKEND_PORT + 10;
const PROXY = fileURLToPath(new URL("changing-proxy.mjs", import.meta.url));

/** Backends of the service that is asked, services in all, applies a second. */
const VARIANTS = [
  { name: "plain", backends: 1, services: 1, rate: 0 },
  { name: "100 backends", backends: 100, services: 1, rate: 0 },
  { name: "100 backends, ewma", backends: 100, services: 1, rate: 0, balance: "ewma" },
  { name: "1,000 services", backends: 1, services: 1_000, rate: 0 },
  { name: "100 backends, 1,000 services", backends: 100, services: 1_000, rate: 0 },
  { name: "… 20 applies a second", backends: 100, services: 1_000, rate: 20 },
  { name: "… 1,000 applies a second", backends: 100, services: 1_000, rate: 1_000 },
];

const { values: options } = parseArgs({
  options: { seconds: { type: "string", default: "3" }, rounds: { type: "string", default: "5" } },
});
const folder = benchFolder();

try {
  needPrograms({ "nginx-light": "/usr/sbin/nginx", wrk: "/usr/bin/wrk" });
  await ensureInstalled();
  await ensureBuilt();
  await bench();
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}

async function bench() {
  const config = backendConfig(folder, BACKEND_PORT);
  await startPinned(LOAD_CORE, "/usr/sbin/nginx", ["-c", config, "-p", folder], BACKEND_PORT);
  const runs = VARIANTS.map(() => []);
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [at, variant] of VARIANTS.entries()) runs[at].push(await measure(variant));
  for (const [at, { name }] of VARIANTS.entries()) {
    const of = (key) => median(runs[at].map((run) => run[key]));
    const ratio = median(runs[at].map((run, round) => run.cpuMicros / runs[0][round].cpuMicros));
    const errors = runs[at].reduce((sum, run) => sum + run.errors, 0);
    const figures = `${of("cpuMicros").toFixed(1).padStart(7)} µs CPU ${ratio.toFixed(2).padStart(6)} × plain`;
    process.stdout.write(`  ${name.padEnd(30)} ${figures}  p99 ${of("p99Ms")} ms  errors ${errors}\n`);
  }
}

async function measure({ backends, services, rate, balance = "round_robin" }) {
  const args = [PROXY, PORT, BACKEND_PORT, backends, services, rate, balance].map(String);
  const proxy = await startPinned(PROXY_CORE, process.execPath, args, PORT);
  const load = { url: `http://127.0.0.1:${PORT}/`, connections: 64 };
  // Compiled, and connected to its backends.
  await wrk(LOAD_CORE, folder, { ...load, seconds: 1 });
  const before = cpuSeconds(proxy.pid);
  const seen = await wrk(LOAD_CORE, folder, { ...load, seconds: Number(options.seconds) });
  const cpuMicros = ((cpuSeconds(proxy.pid) - before) / seen.requests) * 1e6;
  await proxy.stop();
  return { ...seen, cpuMicros };
}

// `npm run bench [-- --seconds 4 --rounds 5 --case NAME]`: what our proxy costs a request beside HAProxy with one
// thread, in the same run, with the same backend (nginx) and load (wrk). The measured program has one core to itself,
// backend and load share the other. `--public-api` measures us without Node's stream handles. Figures of two machines, or of two runs, do not compare; the ratios do.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled, ROOT } from "../../deploy/ensure.mjs";
import { bodyOf, cpuSeconds, median, needPrograms, pause, residentBytes, startPinned, wrk } from "./measure.mjs";

const LOAD_CORE = 0;
const PROXY_CORE = 1;
const BACKEND_PORT = 18_080;
const OURS = { http: 18_081, tcp: 18_082 };
const HAPROXY = { http: 18_083, tcp: 18_084 };
const PROGRAMS = { haproxy: "/usr/sbin/haproxy", "nginx-light": "/usr/sbin/nginx", wrk: "/usr/bin/wrk" };

/** Each case with what it asks for; `mode` is the proxies' mode. */
const CASES = [
  { name: "http keep-alive, small", mode: "http", path: "/", connections: 64 },
  { name: "http keep-alive, 64 KiB", mode: "http", path: "/64k", connections: 64 },
  { name: "http keep-alive, 1 MiB", mode: "http", path: "/1m", connections: 16 },
  { name: "http, a connection each", mode: "http", path: "/", connections: 32, close: true },
  { name: "tcp keep-alive, small", mode: "tcp", path: "/", connections: 64 },
];

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "4" },
    rounds: { type: "string", default: "5" },
    case: { type: "string" },
    json: { type: "string" },
    "public-api": { type: "boolean", default: false },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const cases = CASES.filter(({ name }) => options.case === undefined || name.includes(options.case));

const folder = mkdtempSync(path.join(tmpdir(), "smartstack-bench-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

try {
  needPrograms(PROGRAMS);
  await ensureInstalled();
  await ensureBuilt();
  await bench();
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
}

async function bench() {
  await startPinned(LOAD_CORE, PROGRAMS["nginx-light"], ["-c", nginxConfig(), "-p", folder], BACKEND_PORT);
  const proxies = [await startOurs(), await startHaProxy()];
  const report = [];
  for (const each of cases) {
    for (const proxy of proxies) await proveForwarding(proxy, each);
    const runs = new Map(proxies.map((proxy) => [proxy.name, []]));
    // Alternating, so that whatever else the machine does meets both.
    for (let round = 0; round < rounds; round++) {
      for (const proxy of proxies) runs.get(proxy.name).push(await measure(proxy, each));
    }
    report.push(summary(each, runs));
    print(report[report.length - 1]);
  }
  for (const proxy of proxies) print(`${proxy.name}: ${(residentBytes(proxy.pid) / 2 ** 20).toFixed(0)} MiB resident`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

async function startOurs() {
  const discovery = { method: "base" };
  const default_servers = [{ name: "nginx", host: "127.0.0.1", port: BACKEND_PORT }];
  const service = (mode) => ({ discovery, default_servers, proxy: { listen: [`127.0.0.1:${OURS[mode]}`], mode } });
  const file = path.join(folder, "synapse.json");
  writeFileSync(
    file,
    JSON.stringify({ services: { http: service("http"), tcp: service("tcp") }, admin: { listen: "127.0.0.1:0" } }),
  );
  const preload = options["public-api"] ? ["--import", path.join(ROOT, "test/bench/public-api.mjs")] : [];
  const args = [...preload, path.join(ROOT, "packages/cli/bin/smartstack.js"), "synapse", "-c", file, "--log", "json"];
  return { name: "smartstack", ports: OURS, ...(await startPinned(PROXY_CORE, process.execPath, args, OURS.tcp)) };
}

async function startHaProxy() {
  const file = path.join(folder, "haproxy.cfg");
  const section = (mode, extra) => `listen ${mode}
  mode ${mode}
  bind 127.0.0.1:${HAPROXY[mode]}
  ${extra}
  server nginx 127.0.0.1:${BACKEND_PORT}
`;
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 8000
defaults
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
  timeout http-request 10s
${section("http", "option forwardfor\n  http-reuse always")}${section("tcp", "")}`,
  );
  const running = await startPinned(PROXY_CORE, PROGRAMS.haproxy, ["-db", "-f", file], HAPROXY.tcp);
  return { name: "haproxy", ports: HAPROXY, ...running };
}

function nginxConfig() {
  writeFileSync(path.join(folder, "64k"), Buffer.alloc(64 * 1024, "a"));
  writeFileSync(path.join(folder, "1m"), Buffer.alloc(1024 * 1024, "b"));
  const file = path.join(folder, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 8192; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${BACKEND_PORT} backlog=4096;
    location = / { return 200 "${"x".repeat(100)}"; }
    location / { root ${folder}; }
  }
}`,
  );
  return file;
}

/** A proxy that answers wrongly is fast for nothing. */
async function proveForwarding(proxy, { mode, path: target, name }) {
  const direct = await bodyOf(`http://127.0.0.1:${BACKEND_PORT}${target}`);
  const through = await bodyOf(`http://127.0.0.1:${proxy.ports[mode]}${target}`);
  if (direct.status === 200 && through.status === 200 && through.body.equals(direct.body)) return;
  throw new Error(
    `${proxy.name} does not forward "${name}" correctly: status ${through.status}, ${through.body.length} bytes`,
  );
}

async function measure(proxy, each) {
  const before = cpuSeconds(proxy.pid);
  const url = `http://127.0.0.1:${proxy.ports[each.mode]}${each.path}`;
  const seen = await wrk(LOAD_CORE, { ...each, url, seconds });
  const cpu = cpuSeconds(proxy.pid) - before;
  await pause(200);
  return { ...seen, perSecond: seen.requests / seconds, cpuMicros: (cpu / seen.requests) * 1e6 };
}

function summary({ name }, runs) {
  const of = (proxy, key) => median(runs.get(proxy).map((run) => run[key]));
  const side = (proxy) => ({
    perSecond: Math.round(of(proxy, "perSecond")),
    cpuMicros: Number(of(proxy, "cpuMicros").toFixed(1)),
    p50Ms: of(proxy, "p50Ms"),
    p99Ms: of(proxy, "p99Ms"),
    errors: runs.get(proxy).reduce((sum, run) => sum + run.errors, 0),
  });
  const ratios = runs.get("smartstack").map((run, round) => run.cpuMicros / runs.get("haproxy")[round].cpuMicros);
  return {
    case: name,
    smartstack: side("smartstack"),
    haproxy: side("haproxy"),
    cpuRatio: Number(median(ratios).toFixed(2)),
  };
}

function print(row) {
  if (typeof row === "string") return process.stdout.write(`${row}\n`);
  const side = ({ perSecond, cpuMicros, p50Ms, p99Ms, errors }) =>
    `${String(perSecond).padStart(7)}/s ${String(cpuMicros).padStart(7)} µs CPU  p50 ${p50Ms} ms  p99 ${p99Ms} ms  errors ${errors}`;
  process.stdout.write(
    `${row.case}\n  smartstack ${side(row.smartstack)}\n  haproxy    ${side(row.haproxy)}\n  CPU ratio  ${row.cpuRatio}\n`,
  );
}

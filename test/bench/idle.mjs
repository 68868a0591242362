// What a proxy holds in memory: for each idle connection, and at rest in each way of running.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "../../deploy/ensure.mjs";
import { pause, residentBytes, startPinned } from "./measure.mjs";

const CLIENTS = fileURLToPath(new URL("idle-clients.mjs", import.meta.url));
/** Garbage of the opening should not count as memory of the connections: collectors get this long. */
const SETTLE_MS = 6_000;

export const IDLE_CASES = [
  { name: "idle HTTP client connection, after one request", mode: "http", what: "request" },
  { name: "idle TCP pair", mode: "tcp", what: "nothing" },
];

/** KiB a connection, from the resident memory without and with `count` of them. */
export async function idleKiB(core, proxy, { mode, what }, count) {
  await pause(SETTLE_MS);
  const before = residentBytes(proxy.pid);
  const args = ["-c", String(core), process.execPath, CLIENTS, String(proxy.ports[mode]), String(count), what];
  const clients = spawn("/usr/bin/taskset", args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await new Promise((resolve, reject) => {
      clients.stdout.once("data", resolve);
      clients.once("exit", (code) => reject(new Error(`idle clients ended with ${code}`)));
    });
    await pause(SETTLE_MS);
    return (residentBytes(proxy.pid) - before) / 1_024 / count;
  } finally {
    clients.kill("SIGKILL");
    await pause(500);
  }
}

/** MiB resident at rest of `synapse` with fixed pools, of `up`, and of `synapse` with etcd. */
export async function restingMiB(core, folder, ports) {
  const engine = await startQuietEngine(path.join(folder, "docker.sock"));
  const etcd = await startEtcd(core, folder, ports);
  const admin = { listen: "127.0.0.1:0" };
  const listen = [`127.0.0.1:${ports.listen}`];
  const pool = { discovery: { method: "base" }, default_servers: [{ host: "127.0.0.1", port: 9 }], proxy: { listen } };
  const registered = { proxy: { listen } };
  const ways = {
    "synapse, fixed pools": ["synapse", { services: { web: pool }, admin }],
    up: ["up", { docker: { host: `unix://${engine.path}` }, synapse: { services: { web: pool } }, admin }],
    "synapse, etcd": [
      "synapse",
      { registry: { type: "etcd", hosts: [etcd.endpoint] }, services: { web: registered }, admin },
    ],
  };
  const resting = {};
  for (const [name, [role, config]] of Object.entries(ways)) {
    const file = path.join(folder, `${role}-rest.json`);
    writeFileSync(file, JSON.stringify(config));
    const command = [path.join(ROOT, "packages/cli/bin/smartstack.js"), role, "-c", file, "--log", "json"];
    const running = await startPinned(core, process.execPath, command, ports.listen);
    await pause(SETTLE_MS);
    resting[name] = Number((residentBytes(running.pid) / 2 ** 20).toFixed(1));
    await running.stop();
  }
  await etcd.stop();
  engine.close();
  return resting;
}

async function startEtcd(core, folder, ports) {
  const url = (port) => `http://127.0.0.1:${port}`;
  const args = [
    ...["--data-dir", path.join(folder, "etcd"), "--logger", "zap", "--log-level", "error"],
    ...["--listen-client-urls", url(ports.etcd), "--advertise-client-urls", url(ports.etcd)],
    ...["--listen-peer-urls", url(ports.etcdPeer), "--initial-advertise-peer-urls", url(ports.etcdPeer)],
    ...["--initial-cluster", `default=${url(ports.etcdPeer)}`],
  ];
  const running = await startPinned(core, "/usr/bin/etcd", args, ports.etcd);
  return { endpoint: `127.0.0.1:${ports.etcd}`, stop: running.stop };
}

/** An engine without containers, as `up` finds it on a new host. */
function startQuietEngine(file) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://docker");
    response.setHeader("Api-Version", "1.41");
    if (pathname.endsWith("/events")) response.flushHeaders();
    else if (pathname.endsWith("/info")) response.end(JSON.stringify({ ID: "bench", OperatingSystem: "bench" }));
    else if (pathname.endsWith("/containers/json")) response.end("[]");
    else if (pathname.endsWith("/_ping")) response.end("OK");
    else response.writeHead(404).end(JSON.stringify({ message: "none" }));
  });
  return new Promise((resolve) => {
    server.listen(file, () => {
      resolve({
        path: file,
        close() {
          server.closeAllConnections();
          server.close();
        },
      });
    });
  });
}

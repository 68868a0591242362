// Who stands in front of backends that take only so many requests at once.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../../deploy/ensure.mjs";
import { startPinned } from "../measure.mjs";

/** By name: `start({folder, core, port, backendPorts, limit, queueMs})`. */
export const CONTENDERS = {
  smartstack: startOurs,
  haproxy: startHaProxy,
};

function startOurs({ folder, core, port, backendPorts, limit, queueMs }) {
  const default_servers = backendPorts.map((each) => ({ name: `b${each}`, host: "127.0.0.1", port: each }));
  const proxy = {
    listen: [`127.0.0.1:${port}`],
    mode: "http",
    limits: { max_requests: limit, queue: 100_000 },
    timeouts: { queue: `${queueMs}ms` },
  };
  const file = path.join(folder, "synapse.json");
  const services = { web: { discovery: { method: "base" }, default_servers, proxy } };
  writeFileSync(file, JSON.stringify({ services, admin: { listen: "127.0.0.1:0" } }));
  const command = [path.join(ROOT, "packages/cli/bin/smartstack.js"), "synapse", "-c", file, "--log", "json"];
  return startPinned(core, process.execPath, command, port);
}

function startHaProxy({ folder, core, port, backendPorts, limit, queueMs }) {
  const file = path.join(folder, "haproxy.cfg");
  const servers = backendPorts.map((each) => `  server b${each} 127.0.0.1:${each} maxconn ${limit}\n`).join("");
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9000
defaults
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
  timeout queue ${queueMs}ms
listen web
  mode http
  maxconn 9000
  bind 127.0.0.1:${port}
  balance roundrobin
${servers}`,
  );
  return startPinned(core, "/usr/sbin/haproxy", ["-db", "-f", file], port);
}

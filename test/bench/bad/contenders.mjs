// Who is measured with one bad backend among good ones: each with its defaults, but for how it balances.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../../deploy/ensure.mjs";
import { nginxHttp } from "../backend.mjs";
import { startPinned } from "../measure.mjs";

/** By name: `start({folder, core, port, backendPorts})`. */
export const CONTENDERS = {
  "smartstack random": (setup) => startOurs(setup, { balance: "random" }),
  "smartstack ewma": (setup) => startOurs(setup, { balance: "ewma" }),
  "smartstack least_conn": (setup) => startOurs(setup, { balance: "least_conn" }),
  "… with outlier: on": (setup) => startOurs(setup, { balance: "least_conn", outlier: "on" }),
  "haproxy leastconn": startHaProxy,
  "nginx least_conn": startNginx,
};

function startOurs({ folder, core, port, backendPorts }, options) {
  const default_servers = backendPorts.map((each) => ({ name: `b${each}`, host: "127.0.0.1", port: each }));
  const proxy = { listen: [`127.0.0.1:${port}`], mode: "http", ...options };
  const file = path.join(folder, "synapse.json");
  const services = { web: { discovery: { method: "base" }, default_servers, proxy } };
  writeFileSync(file, JSON.stringify({ services, admin: { listen: "127.0.0.1:0" } }));
  const command = [path.join(ROOT, "packages/cli/bin/smartstack.js"), "synapse", "-c", file, "--log", "json"];
  return startPinned(core, process.execPath, command, port);
}

function startHaProxy({ folder, core, port, backendPorts }) {
  const file = path.join(folder, "haproxy.cfg");
  const servers = backendPorts.map((each) => `  server b${each} 127.0.0.1:${each}\n`).join("");
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  timeout connect 500ms
  timeout client 60s
  timeout server 60s
listen web
  mode http
  bind 127.0.0.1:${port}
  balance leastconn
${servers}`,
  );
  return startPinned(core, "/usr/sbin/haproxy", ["-db", "-f", file], port);
}

function startNginx({ folder, core, port, backendPorts }) {
  const file = path.join(folder, "nginx.conf");
  const servers = backendPorts.map((each) => `server 127.0.0.1:${each};`).join(" ");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
events { worker_connections 4096; }
http {
  ${nginxHttp(folder)}
  upstream web { least_conn; ${servers} keepalive 128; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`,
  );
  return startPinned(core, "/usr/sbin/nginx", ["-c", file, "-p", folder], port);
}

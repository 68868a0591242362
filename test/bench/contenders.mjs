// The measured proxies: each starts on a core of its own with the same backend, and says which modes it serves at which
// port. A new one is one line here and, where it needs one, one entry in peers/server.mjs.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ensureInstalled, ROOT } from "../../deploy/ensure.mjs";
import { nginxHttp } from "./backend.mjs";
import { startPinned } from "./measure.mjs";

const PEERS = fileURLToPath(new URL("peers", import.meta.url));
const HAPROXY = "/usr/sbin/haproxy";
const NGINX = "/usr/sbin/nginx";

/** By name: `start(setup)`, where `setup` is `{folder, core, ports: {http, tcp}, backendPort}`. */
export const CONTENDERS = {
  smartstack: { modes: ["http", "tcp"], start: (setup) => startOurs(setup, []) },
  "smartstack, public API": { modes: ["http", "tcp"], start: (setup) => startOurs(setup, publicApi()) },
  haproxy: { modes: ["http", "tcp"], start: startHaProxy },
  nginx: { modes: ["http"], start: startNginx },
  "http-proxy": { modes: ["http"], start: (setup) => startPeer("http-proxy", setup) },
  httpxy: { modes: ["http"], start: (setup) => startPeer("httpxy", setup) },
  "fast-proxy": { modes: ["http"], start: (setup) => startPeer("fast-proxy", setup) },
  "@fastify/http-proxy": { modes: ["http"], start: (setup) => startPeer("@fastify/http-proxy", setup) },
};

function publicApi() {
  return ["--import", path.join(ROOT, "test/bench/public-api.mjs")];
}

function startOurs({ folder, core, ports, backendPort }, nodeArgs) {
  const discovery = { method: "base" };
  const default_servers = [{ name: "nginx", host: "127.0.0.1", port: backendPort }];
  const service = (mode) => ({ discovery, default_servers, proxy: { listen: [`127.0.0.1:${ports[mode]}`], mode } });
  const file = path.join(folder, `synapse-${ports.http}.json`);
  const services = { http: service("http"), tcp: service("tcp") };
  writeFileSync(file, JSON.stringify({ services, admin: { listen: "127.0.0.1:0" } }));
  const command = [path.join(ROOT, "packages/cli/bin/smartstack.js"), "synapse", "-c", file, "--log", "json"];
  return startPinned(core, process.execPath, [...nodeArgs, ...command], ports.tcp);
}

function startHaProxy({ folder, core, ports, backendPort }) {
  const file = path.join(folder, "haproxy.cfg");
  const section = (mode, extra) => `listen ${mode}
  mode ${mode}
  bind 127.0.0.1:${ports[mode]}
  ${extra}
  server nginx 127.0.0.1:${backendPort}
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
  return startPinned(core, HAPROXY, ["-db", "-f", file], ports.tcp);
}

function startNginx({ folder, core, ports, backendPort }) {
  const file = path.join(folder, "nginx.conf");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
worker_rlimit_nofile 32768;
events { worker_connections 16384; }
http {
  ${nginxHttp(folder)}
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${ports.http} backlog=4096;
    location / {
      proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_buffering off; proxy_request_buffering off;
    }
  }
}
`,
  );
  return startPinned(core, NGINX, ["-c", file, "-p", folder], ports.http);
}

async function startPeer(kind, { core, ports, backendPort }) {
  await ensureInstalled(PEERS);
  const args = [path.join(PEERS, "server.mjs"), kind, String(ports.http), String(backendPort)];
  return startPinned(core, process.execPath, args, ports.http);
}

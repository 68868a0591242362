// The backend of every case: nginx, on the load's core.
import { writeFileSync } from "node:fs";
import path from "node:path";

/** The paths nginx needs to be told of when it runs in a folder of our own. */
export function nginxHttp(folder) {
  return `access_log off; keepalive_requests 1000000000; client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;`;
}

/** Writes the configuration, and what it serves; returns its file. */
export function backendConfig(folder, port) {
  writeFileSync(path.join(folder, "64k"), Buffer.alloc(64 * 1024, "a"));
  writeFileSync(path.join(folder, "1m"), Buffer.alloc(1024 * 1024, "b"));
  const file = path.join(folder, "backend.conf");
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${folder}/backend.pid; error_log ${folder}/backend.log;
worker_rlimit_nofile 32768;
events { worker_connections 16384; }
http {
  ${nginxHttp(folder)}
  keepalive_timeout 600s; client_header_timeout 600s;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = / { return 200 "${"x".repeat(100)}"; }
    location = /post { return 200 "$request_method $content_length $http_x_padding"; }
    location / { root ${folder}; }
  }
}
`,
  );
  return file;
}

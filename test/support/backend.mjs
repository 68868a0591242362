// The test web server: what runs in containers and beside them, as the service that clients want. Plain Node, one file,
// so that it can be copied into an image. Environment:
//   ID          what answers carry; default the host name, which in a container is the start of its id
//   PORT        HTTP, several separated by commas; default 80
//   TCP_PORT    TCP echo: answers "<id>\n" on connect, then whatever it gets; off when absent
//   HOST        address to bind; default all
//   BOOT_DELAY  milliseconds before it listens; TERM_DELAY  milliseconds it still serves after TERM
// Paths: /health (503 while /tmp/sick, or the file SICK_FILE, exists), /slow?ms=, /stream?chunks=&ms=, else
// "<id> <port>". A body is answered with "<id> <port> <sha256> <length>".
import { createHash } from "node:crypto";
import { existsSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import net from "node:net";
import { hostname } from "node:os";

const env = process.env;
const id = env.ID ?? hostname();
const host = env.HOST;
const sickFile = env.SICK_FILE ?? "/tmp/sick";
const ports = (env.PORT ?? "80").split(",").map(Number);

// Synchronous: what a request's sender needs to know is whether it got here, even if this process is killed right after.
const log = (line) => writeSync(1, `${line}\n`);

function handle(request, response) {
  const port = request.socket.localPort;
  const url = new URL(request.url, "http://backend");
  log(`${request.method} ${request.url} ${request.headers["x-request-id"] ?? "-"}`);
  response.setHeader("content-type", "text/plain");
  response.setHeader("x-served-by", id);
  const echoed = request.headers["x-request-id"];
  if (echoed !== undefined) response.setHeader("x-request-id", echoed);
  if (url.pathname === "/health") {
    const sick = existsSync(sickFile);
    response.writeHead(sick ? 503 : 200).end(sick ? "sick\n" : "ok\n");
  } else if (url.pathname === "/slow") {
    setTimeout(() => response.end(`${id} ${port}\n`), Number(url.searchParams.get("ms") ?? 1_000));
  } else if (url.pathname === "/stream") {
    stream(response, Number(url.searchParams.get("chunks") ?? 10), Number(url.searchParams.get("ms") ?? 100));
  } else if (url.pathname === "/headers") {
    response.end(`${JSON.stringify(request.headers)}\n`);
  } else {
    answerBody(request, response, port);
  }
}

function answerBody(request, response, port) {
  const hash = createHash("sha256");
  let length = 0;
  request.on("data", (chunk) => {
    hash.update(chunk);
    length += chunk.length;
  });
  request.on("end", () => {
    response.end(length === 0 ? `${id} ${port}\n` : `${id} ${port} ${hash.digest("hex")} ${length}\n`);
  });
}

function stream(response, chunks, ms) {
  let sent = 0;
  const timer = setInterval(() => {
    response.write(`${id} ${sent++}\n`);
    if (sent < chunks) return;
    clearInterval(timer);
    response.end();
  }, ms);
  response.on("close", () => clearInterval(timer));
}

function echo(socket) {
  log(`TCP ${socket.remoteAddress}`);
  socket.write(`${id}\n`);
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
}

function listen() {
  for (const port of ports) {
    const server = createServer(handle);
    server.keepAliveTimeout = 60_000;
    server.listen(port, host, () => log(`listening ${server.address().port}`));
  }
  if (env.TCP_PORT !== undefined) {
    const server = net
      .createServer(echo)
      .listen(Number(env.TCP_PORT), host, () => log(`echo ${server.address().port}`));
  }
}

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => setTimeout(() => process.exit(0), Number(env.TERM_DELAY ?? 0)));
}
setTimeout(listen, Number(env.BOOT_DELAY ?? 0));

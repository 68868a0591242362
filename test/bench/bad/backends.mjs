// `node backends.mjs FIRST_PORT COUNT`: backends in one process that answer after 5 ms. The last one's ways can be changed
// by `GET /be/<way>` at the port behind it.
import { createServer } from "node:http";

const SERVICE_MS = 5;
/** How the bad one treats a request. */
const WAYS = {
  good: (_request, response) => later(SERVICE_MS, response, 200),
  slow: (_request, response) => later(20 * SERVICE_MS, response, 200),
  failing: (_request, response) => later(SERVICE_MS, response, Math.random() < 0.5 ? 500 : 200),
  silent: () => undefined,
  resetting: (request) => setTimeout(() => request.socket.resetAndDestroy(), SERVICE_MS),
};

const [firstPort, count] = process.argv.slice(2).map(Number);
let way = WAYS.good;
for (let index = 0; index < count; index++) {
  const serve = index === count - 1 ? (request, response) => way(request, response) : WAYS.good;
  createServer({ keepAliveTimeout: 60_000 }, serve).listen(firstPort + index, "127.0.0.1", 1_024);
}
createServer((request, response) => {
  way = WAYS[request.url.slice("/be/".length)];
  response.writeHead(way === undefined ? 404 : 204).end();
}).listen(firstPort + count, "127.0.0.1");

function later(ms, response, status) {
  setTimeout(() => response.writeHead(status, { "Content-Length": 2 }).end("ok"), ms);
}

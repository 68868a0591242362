// One proxy of the Node world: `node server.mjs KIND PORT BACKEND_PORT`. Each with kept connections to the backend and
// X-Forwarded-For where it knows how, as its own documentation sets it up for speed.
import { Agent, createServer } from "node:http";

const BACKEND_SOCKETS = 128;

const KINDS = {
  async "http-proxy"(port, target) {
    const { default: httpProxy } = await import("http-proxy");
    const agent = new Agent({ keepAlive: true, maxSockets: BACKEND_SOCKETS });
    const proxy = httpProxy.createProxyServer({ target, agent, xfwd: true });
    // The load's end cuts answers off: what has begun can only be closed.
    proxy.on("error", (_error, _request, response) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    });
    createServer((request, response) => proxy.web(request, response)).listen(port, "127.0.0.1");
  },
  async httpxy(port, target) {
    const { createProxyServer } = await import("httpxy");
    const agent = new Agent({ keepAlive: true, maxSockets: BACKEND_SOCKETS });
    const proxy = createProxyServer({ target, agent, xfwd: true });
    createServer((request, response) => {
      proxy.web(request, response).catch(() => response.writeHead(502).end());
    }).listen(port, "127.0.0.1");
  },
  async "fast-proxy"(port, target) {
    const { default: fastProxy } = await import("fast-proxy");
    const { proxy } = fastProxy({ base: target, undici: { connections: BACKEND_SOCKETS, pipelining: 1 } });
    createServer((request, response) => proxy(request, response, request.url, {})).listen(port, "127.0.0.1");
  },
  async "@fastify/http-proxy"(port, target) {
    const [{ default: fastify }, { default: proxy }] = await Promise.all([
      import("fastify"),
      import("@fastify/http-proxy"),
    ]);
    const server = fastify();
    server.register(proxy, { upstream: target, undici: { connections: BACKEND_SOCKETS, pipelining: 1 } });
    await server.listen({ port, host: "127.0.0.1" });
  },
};

const [kind, port, backendPort] = process.argv.slice(2);
await KINDS[kind](Number(port), `http://127.0.0.1:${backendPort}`);

import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import { type Clock, systemClock } from "@smartstack/core";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { createBackend } from "../backend.ts";
import type { ProbeResult } from "../health.ts";
import { type CheckSpec, DEFAULT_CHECK } from "../snapshot.ts";
import { backendSpec, closedPort, listenOn } from "../testing/bench.ts";
import { createProbe } from "./index.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const seen: { method: string; url: string; headers: NodeJS.Dict<string | string[]> }[] = [];

async function web(answer: RequestListener): Promise<number> {
  const server = createServer((request, response) => {
    seen.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers });
    answer(request, response);
  });
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return listenOn(server, 0);
}

function probe(port: number, check: Partial<CheckSpec>, clock: Clock = systemClock): Promise<ProbeResult> {
  const spec = { ...DEFAULT_CHECK, ...check };
  const backend = createBackend(backendSpec("b", port), spec, 0);
  return new Promise((resolve) => {
    createProbe(clock)(backend, spec, resolve);
  });
}

const page =
  (status: number, body: string): RequestListener =>
  (_, response) =>
    response.writeHead(status).end(body);

describe("an http probe", () => {
  it.each([
    [200, {}, { ok: true }],
    [302, {}, { ok: true }],
    [400, {}, { ok: false, reason: "status 400" }],
    [503, {}, { ok: false, reason: "status 503" }],
    [
      401,
      {
        status: [
          [200, 200],
          [401, 403],
        ],
      },
      { ok: true },
    ],
    [204, { status: [[200, 200]] }, { ok: false, reason: "status 204" }],
    [200, { expect: "well" }, { ok: true }],
    [200, { expect: "ill" }, { ok: false, reason: 'status 200, body lacks "ill"' }],
    [500, { expect: "well" }, { ok: false, reason: "status 500" }],
  ] as const)("of status %d with %j: %j", async (status, check, expected) => {
    const port = await web(page(status, "all is well"));
    expect(await probe(port, { type: "http", ...check })).toMatchObject(expected);
  });

  it("asks as it is told", async () => {
    const port = await web(page(200, ""));
    seen.length = 0;
    await probe(port, {
      type: "http",
      method: "OPTIONS",
      path: "/up?deep=1",
      headers: { Host: "app", "X-Check": "1" },
    });
    await probe(port, { type: "http" });
    expect(seen).toMatchObject([
      {
        method: "OPTIONS",
        url: "/up?deep=1",
        headers: { host: "app", "x-check": "1", "user-agent": "smartstack-check" },
      },
      { method: "GET", url: "/", headers: { host: `127.0.0.1:${port}`, connection: "close" } },
    ]);
  });

  it("looks for a body in pieces, and no further than it has to", async () => {
    const pieces = await web((_, response) => {
      response.write("all is we");
      setImmediate(() => response.write("ll, but there is no end"));
    });
    expect(await probe(pieces, { type: "http", expect: "well" })).toMatchObject({ ok: true });
    const endless = await web((_, response) => {
      const more = (): unknown => response.writable && response.write("x".repeat(16_384), more);
      more();
    });
    expect(await probe(endless, { type: "http", expect: "well", timeoutMs: 5_000 })).toEqual({
      ok: false,
      reason: 'status 200, body lacks "well"',
    });
  });

  it("reads 64 KiB of a body, no more", async () => {
    const found = await web(page(200, `${"x".repeat(64 * 1024 - 4)}well`));
    expect(await probe(found, { type: "http", expect: "well" })).toMatchObject({ ok: true });
    const late = await web((_, response) => {
      response.write("x".repeat(64 * 1024 + 1));
    });
    expect(await probe(late, { type: "http", expect: "well", timeoutMs: 5_000 })).toMatchObject({
      reason: 'status 200, body lacks "well"',
    });
  });

  it("may go to a port of its own", async () => {
    const port = await web(page(200, ""));
    expect(await probe(await closedPort(), { type: "http", port })).toMatchObject({ ok: true });
    expect(await probe(port, { type: "tcp", port: await closedPort() })).toMatchObject({ ok: false });
  });

  it("takes nothing that is not HTTP", async () => {
    const other = createTcpServer((socket) => socket.end("220 mail\r\n"));
    closers.push(() => other.close());
    expect(await probe(await listenOn(other, 0), { type: "http" })).toMatchObject({ ok: false });
  });
});

/** A server that takes connections and says nothing. */
async function silent(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => sockets.push(socket.resume().on("error", () => undefined)));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: await listenOn(server, 0), sockets };
}

/** Begins a probe of a server that is silent, and waits until its connection stands at both ends. */
async function begun(check: Partial<CheckSpec>) {
  const { port, sockets } = await silent();
  const clock = fakeClock();
  let result: ProbeResult | undefined;
  const before = clock.pending();
  probe(port, check, clock).then((done) => {
    result = done;
  });
  await until(() => sockets.length === 1, { what: "the connection" });
  return { clock, sockets, waits: () => clock.pending() - before, result: () => result };
}

describe("a tcp probe", () => {
  it("believes a connection that stands for 50 ms", async () => {
    const { clock, waits, result } = await begun({ type: "tcp" });
    await until(() => waits() === 2, { what: "the connection at our end" });
    await clock.advance(49);
    expect(result()).toBeUndefined();
    await clock.advance(1);
    expect(result()).toEqual({ ok: true, reason: "connected" });
    expect(waits()).toBe(0);
  });

  it("does not believe one that is dropped before, as docker-proxy does with nobody behind it", async () => {
    const { clock, sockets, waits, result } = await begun({ type: "tcp" });
    await until(() => waits() === 2, { what: "the connection at our end" });
    await clock.advance(49);
    sockets[0]?.end();
    await until(() => result() !== undefined, { what: "the result" });
    expect(result()).toEqual({ ok: false, reason: "closed without an answer" });
  });
});

it.each(["http", "tcp"] as const)("a probe by %s has its timeout, and leaves nothing behind", async (type) => {
  // A connection is believed after 50 ms: less than that is never enough for tcp.
  const timeoutMs = type === "tcp" ? 40 : 3_000;
  const { clock, sockets, waits, result } = await begun({ type, timeoutMs });
  await clock.advance(timeoutMs - 1);
  expect(result()).toBeUndefined();
  await clock.advance(1);
  expect(result()).toEqual({ ok: false, reason: `no answer within ${timeoutMs} ms` });
  expect(waits()).toBe(0);
  await until(() => sockets[0]?.readableEnded === true || sockets[0]?.destroyed === true, {
    what: "the connection's end",
  });
});

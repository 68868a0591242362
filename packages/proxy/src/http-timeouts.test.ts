// Every timeout of an HTTP exchange, on time that moves only when told to: nothing before it is over, its effect after.
import type { Socket } from "node:net";
import { type FakeClock, fakeClock, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_TIMEOUTS, type ServiceSpec } from "./snapshot.ts";
import { type Bench, backendSpec, type RawClient, rawBackend, rawClient, startBench } from "./testing/bench.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const UPGRADE = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** The wheel's tick: a timeout is up to this late. */
const TICK_MS = 50;

let clock: FakeClock;
let bench: Bench;
beforeEach(() => {
  clock = fakeClock();
});
afterEach(() => bench.close());

async function withBackend(onData: (socket: Socket, all: string) => void, change: Partial<ServiceSpec> = {}) {
  const backend = await rawBackend(onData);
  bench = await startBench({ backends: [backendSpec("b", backend.port)], ...change }, { clock });
  bench.onClose(backend.close);
  return { backend, client: newClient() };
}

function newClient(): RawClient {
  const client = rawClient(bench.port());
  bench.onClose(() => {
    client.socket.destroy();
  });
  return client;
}

function answering(answer: string) {
  return (socket: Socket, all: string): void => {
    if (all.endsWith("\r\n\r\n")) socket.write(answer);
  };
}

/** Lets `ms` pass, all but the last moment; `quiet` must hold until then. */
async function pass(ms: number, quiet: () => boolean): Promise<void> {
  await clock.advance(ms - 2 * TICK_MS);
  expect(quiet()).toBe(true);
  await clock.advance(3 * TICK_MS);
}

function isOver(socket: Socket | undefined): boolean {
  return socket === undefined || socket.readableEnded || socket.destroyed;
}

function gone(socket: Socket | undefined): Promise<true> {
  return until(() => isOver(socket), { what: "the connection's end" });
}

const T = DEFAULT_TIMEOUTS;

describe("the client", () => {
  it("has clientHeadMs for a head from its first byte on, and more bytes give it no more", async () => {
    const { client } = await withBackend(answering(OK));
    // Behind a whole request, whose answer says that the beginning of the next was read.
    client.send(`${GET}GET / HTTP/1.1\r\n`);
    await client.expect(/ok$/);
    await clock.advance(T.clientHeadMs / 2);
    client.send("Host: a\r\n");
    await pass(T.clientHeadMs / 2, () => client.text() === OK);
    expect(await client.expectEnd()).toMatch(/okHTTP\/1\.1 408 [\s\S]*Connection: close/);
  });

  it("has keepAliveMs between requests, and is closed without a word", async () => {
    const { client } = await withBackend(answering(OK));
    client.send(GET);
    await client.expect(/ok$/);
    await pass(T.keepAliveMs, () => !client.ended());
    expect(await client.expectEnd()).toBe(OK);
  });

  it("has keepAliveMs for its first byte", async () => {
    const { client } = await withBackend(answering(OK));
    await until(() => bench.proxy.status()[0]?.counters.connections === 1, { what: "the connection" });
    await pass(T.keepAliveMs, () => !client.ended());
    expect(await client.expectEnd()).toBe("");
  });

  it("has serverMs between bytes of a body, then 408", async () => {
    const { backend, client } = await withBackend(() => undefined);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nbe");
    await until(() => backend.received[0]?.endsWith("be"), { what: "a part" });
    await clock.advance(T.serverMs / 2);
    client.send("gin");
    await until(() => backend.received[0]?.endsWith("begin"), { what: "more" });
    await pass(T.serverMs, () => !client.ended());
    expect(await client.expectEnd()).toMatch(/^HTTP\/1\.1 408 /);
    await gone(backend.sockets[0]);
  });

  it("that does not read its answer for serverMs is cut off, and so is the backend", async () => {
    const body = Buffer.alloc(64 * 1024 * 1024);
    const { backend, client } = await withBackend((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    });
    client.socket.pause();
    client.send(GET);
    const taken = (): number => bench.proxy.status()[0]?.backends[0]?.counters.bytesOut ?? 0;
    let before = -1;
    const stalled = (): boolean => {
      const now = taken();
      const same = now > 0 && now === before;
      before = now;
      return same;
    };
    await until(stalled, { what: "back-pressure", everyMs: 200 });
    await pass(T.serverMs, () => backend.sockets[0]?.destroyed === false);
    await until(() => backend.sockets[0]?.destroyed === true || backend.sockets[0]?.readableEnded === true, {
      what: "the upstream's end",
    });
  });

  it("may linger for two seconds behind an answer that closes, no longer", async () => {
    const { client } = await withBackend(answering(OK));
    client.send("GARBAGE\r\n\r\n");
    await client.expect(/^HTTP\/1\.1 400 /);
    await until(() => client.ended(), { what: "our end" });
    const clients = (): number => bench.proxy.status()[0]?.counters.activeClients ?? -1;
    await pass(2_000, () => clients() === 1);
    await until(() => clients() === 0, { what: "the client's end" });
  });
});

describe("a backend", () => {
  it("has serverMs for its first byte, then 504, and the client stays", async () => {
    const { backend, client } = await withBackend((socket, all) => {
      if (all.includes("/again")) socket.write(OK);
    });
    client.send(GET);
    await until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "the request" });
    await pass(T.serverMs, () => client.text() === "");
    await client.expect(/^HTTP\/1\.1 504 /);
    await gone(backend.sockets[0]);
    client.send("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.expect(/ok$/);
  });

  it("has serverMs between bytes of its answer, then the client is cut off", async () => {
    const { backend, client } = await withBackend(answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbe"));
    client.send(GET);
    await client.expect(/be$/);
    await clock.advance(T.serverMs / 2);
    backend.sockets[0]?.write("gin");
    await client.expect(/begin$/);
    await pass(T.serverMs, () => !client.ended());
    await client.expectEnd();
    await gone(backend.sockets[0]);
  });

  it("has serverMs to read a body, then 504", async () => {
    const { client } = await withBackend((socket) => {
      socket.pause();
    });
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * 1024 * 1024}\r\n\r\n`);
    client.send(Buffer.alloc(64 * 1024 * 1024));
    const sent = (): number => bench.proxy.status()[0]?.backends[0]?.counters.bytesIn ?? 0;
    let before = -1;
    await until(
      () => {
        const now = sent();
        const same = now > 100_000 && now === before;
        before = now;
        return same;
      },
      { what: "back-pressure", everyMs: 200 },
    );
    await pass(T.serverMs, () => client.text() === "");
    await client.expect(/^HTTP\/1\.1 504 /);
  });

  it("keeps an idle connection for 30 s", async () => {
    const { backend, client } = await withBackend(answering(OK));
    client.send(GET);
    await client.expect(/ok$/);
    await pass(30_000, () => !isOver(backend.sockets[0]));
    await gone(backend.sockets[0]);
    client.send(GET);
    await client.expect(/ok[\s\S]*ok$/);
    expect(backend.received.length).toBe(2);
  });

  it("that closes in order under a POST is believed after a moment of doubt", async () => {
    const { backend, client } = await withBackend(() => undefined);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    await until(() => backend.received[0]?.endsWith("hi"), { what: "the request" });
    backend.sockets[0]?.end();
    await until(() => backend.sockets[0]?.writableFinished === true, { what: "its end" });
    await until(
      async () => {
        await clock.advance(TICK_MS);
        return client.text() !== "";
      },
      { what: "the answer" },
    );
    expect(client.text()).toMatch(/^HTTP\/1\.1 502 /);
  });

  it("that leaves the pool has drainMs for what it still has", async () => {
    const { backend, client } = await withBackend(() => undefined);
    client.send(GET);
    await until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "the request" });
    await bench.apply({ backends: [] });
    await pass(T.drainMs, () => client.text() === "" && !isOver(backend.sockets[0]));
    await gone(backend.sockets[0]);
    await client.expect(/^HTTP\/1\.1 50[23] /);
  });
});

describe("an upgraded connection", () => {
  it("has tunnelMs without a byte either way", async () => {
    const { backend, client } = await withBackend(answering(SWITCHED));
    client.send(UPGRADE);
    await client.expect(/101 Switching[\s\S]*\r\n\r\n$/);
    await clock.advance(T.tunnelMs / 2);
    backend.sockets[0]?.write("event");
    await client.expect(/event$/);
    await clock.advance(T.tunnelMs / 2);
    client.send("ack");
    await until(() => backend.received[0]?.endsWith("ack"), { what: "an answer" });
    await pass(T.tunnelMs, () => !client.ended());
    await client.expectEnd();
    await gone(backend.sockets[0]);
  });
});

describe("an upgraded connection whose backend leaves the pool", () => {
  it("goes on for drainMs, then ends", async () => {
    const { backend, client } = await withBackend(answering(SWITCHED));
    client.send(UPGRADE);
    await client.expect(/101 Switching[\s\S]*\r\n\r\n$/);
    await bench.apply({ backends: [] });
    await clock.advance(T.drainMs / 2);
    backend.sockets[0]?.write("event");
    await client.expect(/event$/);
    await pass(T.drainMs / 2, () => !client.ended());
    await client.expectEnd();
    await gone(backend.sockets[0]);
  });

  it("stays when it comes back in time", async () => {
    const { backend, client } = await withBackend(answering(SWITCHED));
    client.send(UPGRADE);
    await client.expect(/101 Switching[\s\S]*\r\n\r\n$/);
    await bench.apply({ backends: [backendSpec("b", backend.port, { state: "draining" })] });
    await clock.advance(T.drainMs - 1_000);
    await bench.apply({ backends: [backendSpec("b", backend.port)] });
    await clock.advance(10 * T.drainMs);
    backend.sockets[0]?.write("event");
    await client.expect(/event$/);
  });
});

describe("a timeout of 0", () => {
  it("is none", async () => {
    const timeouts = { ...T, clientHeadMs: 0, keepAliveMs: 0, serverMs: 0, tunnelMs: 0 };
    const { backend, client } = await withBackend(() => undefined, { timeouts });
    client.send(GET);
    await until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "the request" });
    await clock.advance(10 * T.serverMs);
    backend.sockets[0]?.write(OK);
    await client.expect(/ok$/);
    await clock.advance(10 * T.keepAliveMs);
    client.send("GET ");
    await clock.advance(10 * T.clientHeadMs);
    expect(client.ended()).toBe(false);
  });
});

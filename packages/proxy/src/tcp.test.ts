import { connect, createServer, type Socket } from "node:net";
import { type FakeClock, fakeClock, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PLAIN } from "./opening.ts";
import type { ProxyDeps } from "./proxy.ts";
import { DEFAULT_TIMEOUTS, type ServiceSpec, type TimeoutSpec } from "./snapshot.ts";
import { serveTcp } from "./tcp.ts";
import {
  type Bench,
  backendSpec,
  closedPort,
  closeServer,
  listenOn,
  type RawClient,
  rawBackend,
  rawClient,
  startBench,
  startService,
} from "./testing/bench.ts";
import { fakeWire } from "./testing/fake-wire.ts";

let bench: Bench;
afterEach(() => bench.close());

async function start(change: Partial<ServiceSpec>, deps: Partial<ProxyDeps> = {}): Promise<void> {
  bench = await startBench({ mode: "tcp", ...change }, deps);
}

function client(): RawClient {
  const made = rawClient(bench.port());
  bench.onClose(() => {
    made.socket.destroy();
  });
  return made;
}

const active = (key = 0): number | undefined => bench.proxy.status()[0]?.backends[key]?.counters.active;

it("passes bytes both ways and each end's half-close", async () => {
  const backend = await rawBackend((socket, all) => {
    if (all === "question") socket.write("answer");
  });
  await start({ backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  const one = client();
  one.send("question");
  await one.expect("answer");
  one.socket.end();
  await until(() => backend.sockets[0]?.readableEnded, { what: "the client's end" });
  expect(one.ended()).toBe(false);
  backend.sockets[0]?.end(" and more");
  expect(await one.expectEnd()).toBe("answer and more");
  await until(() => active() === 0, { what: "the session's end" });
  expect(bench.proxy.status()[0]?.backends[0]?.counters).toMatchObject({ connections: 1, bytesIn: 8, bytesOut: 15 });
});

it("lets a server speak first", async () => {
  const backend = await rawBackend(
    () => undefined,
    (socket) => socket.write("220 hello\r\n"),
  );
  await start({ backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  await client().expect("220 hello");
});

it("passes a reset on as a reset, either way", async () => {
  const backend = await rawBackend((socket, all) => {
    if (all === "reset") socket.resetAndDestroy();
  });
  await start({ backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  const one = client();
  one.send("reset");
  await until(() => one.error()?.code === "ECONNRESET", { what: "a reset at the client" });
  const two = client();
  two.send("x");
  await until(() => backend.received[1] === "x", { what: "the second connection" });
  let seen: string | undefined;
  backend.sockets[1]?.on("error", (error: NodeJS.ErrnoException) => {
    seen = error.code;
  });
  two.socket.resetAndDestroy();
  await until(() => seen === "ECONNRESET", { what: "a reset at the backend" });
  await until(() => active() === 0, { what: "the sessions' end" });
});

it("goes to the next backend when a connect fails, with the bytes the client sent already", async () => {
  const backend = await rawBackend((socket, all) => {
    socket.end(all);
  });
  const dead = await Promise.all([closedPort(), closedPort(), closedPort(), closedPort()]);
  await start({ backends: [...dead.map((port, n) => backendSpec(`d${n}`, port)), backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  const one = client();
  one.send("hello");
  expect(await one.expectEnd()).toBe("hello");
});

it("closes at once when there is no backend, and stays bound", async () => {
  await start({});
  expect(await client().expectEnd()).toBe("");
  expect(await client().expectEnd()).toBe("");
  expect(bench.proxy.status()[0]).toMatchObject({ listeners: [{ state: "bound" }], counters: { noBackend: 2 } });
});

it.each(["client", "backend"])("holds no more than its buffers when the %s does not read", async (who) => {
  const total = 64 * 1024 * 1024;
  const block = Buffer.alloc(256 * 1024);
  let sent = 0;
  const flood = (socket: Socket): void => {
    const more = (): void => {
      while (sent < total) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
      socket.end();
    };
    socket.on("drain", more);
    more();
  };
  let received = 0;
  let reader: Socket | undefined;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: who === "backend" }, (socket) => {
    if (who === "client") flood(socket);
    else {
      reader = socket;
      socket.on("data", (chunk) => {
        received += chunk.length;
      });
      socket.pause();
    }
  });
  const port = await listenOn(server, 0);
  await start({ backends: [backendSpec("b", port)] });
  const socket = connect({ port: bench.port(), host: "127.0.0.1", allowHalfOpen: true });
  bench.onClose(() => closeServer(server, reader ? [reader, socket] : [socket]));
  if (who === "backend") flood(socket);
  else {
    reader = socket;
    socket.on("data", (chunk) => {
      received += chunk.length;
    });
    socket.pause();
  }
  await until(() => sent > 0 && reader !== undefined, { what: "the flood" });
  let last = -1;
  await until(
    () => {
      const still = sent === last;
      last = sent;
      return still;
    },
    { what: "a standstill", everyMs: 200 },
  );
  // Four kernel buffers of up to a few MiB and the proxy's own two; 64 MiB were offered.
  expect(sent).toBeLessThan(total / 2);
  reader?.resume();
  await until(() => received === total, { what: "everything" });
});

it("a client that leaves before its backend's connection stands takes that along", async () => {
  const backend = await rawBackend(() => undefined);
  await start({});
  bench.onClose(backend.close);
  const [service, surroundings] = startService(
    { mode: "tcp", backends: [backendSpec("b", backend.port)] },
    fakeClock(),
  );
  const wire = fakeWire();
  serveTcp(wire, service, surroundings, PLAIN);
  expect(service.pool.status()[0]?.counters.connections).toBe(1);
  wire.gone();
  expect(service.clients.size).toBe(0);
  await until(() => backend.sockets.every((socket) => socket.readableEnded || socket.destroyed), { what: "its end" });
  await until(() => service.pool.status()[0]?.counters.active === 0, { what: "no session" });
});

describe("on time that is told to move", () => {
  const TICK_MS = 50;
  let clock: FakeClock;
  beforeEach(() => {
    clock = fakeClock();
  });

  /** A session with each of two backends that answer with the number of bytes so far. */
  async function sessions(timeouts: Partial<TimeoutSpec>) {
    const backend = await rawBackend((socket, all) => {
      socket.write(`${all.length};`);
    });
    const backends = [backendSpec("a", backend.port), backendSpec("b", backend.port)];
    await start({ backends, timeouts: { ...DEFAULT_TIMEOUTS, ...timeouts } }, { clock });
    bench.onClose(backend.close);
    const clients = [client(), client()] as const;
    for (const one of clients) {
      one.send("x");
      await one.expect("1;");
    }
    return { clients, backend };
  }

  it("sessions of a removed or draining backend have drainMs, then are closed", async () => {
    const { clients, backend } = await sessions({ drainMs: 30_000 });
    await bench.apply({ backends: [backendSpec("a", backend.port, { state: "draining" })] });
    expect(bench.proxy.status()[0]?.backends).toMatchObject([
      { key: "a", usable: false, reason: "draining (registry)" },
    ]);
    await clock.advance(29_999);
    for (const one of clients) {
      one.send("y");
      await one.expect("2;");
    }
    await clock.advance(1);
    for (const one of clients) await one.expectEnd();
  });

  it("a session stays when its backend comes back from draining", async () => {
    const [one] = (await sessions({ drainMs: 30_000 })).clients;
    for (const key of ["a", "b"]) expect(bench.proxy.setLocalState("web", key, "draining")).toBe(true);
    expect(await client().expectEnd()).toBe("");
    await clock.advance(29_000);
    for (const key of ["a", "b"]) bench.proxy.setLocalState("web", key, undefined);
    await clock.advance(60_000);
    one.send("x");
    await one.expect("2;");
  });

  it("a session without bytes in either direction ends after tcpIdleMs", async () => {
    const [one, other] = (await sessions({ tcpIdleMs: 10_000 })).clients;
    await clock.advance(6_000);
    one.send("x");
    await one.expect("2;");
    await clock.advance(4_000 + TICK_MS);
    await other.expectEnd();
    await clock.advance(6_000 - 3 * TICK_MS);
    expect(one.ended()).toBe(false);
    await clock.advance(3 * TICK_MS);
    await one.expectEnd();
  });

  it("a session whose client ended its side has halfClosedMs for more of its backend", async () => {
    const { clients, backend } = await sessions({ halfClosedMs: 10_000 });
    const [one, other] = clients;
    one.socket.end();
    await until(() => backend.sockets.some((socket) => socket.readableEnded), { what: "its end" });
    await clock.advance(10_000 - TICK_MS);
    expect(one.ended()).toBe(false);
    await clock.advance(2 * TICK_MS);
    await one.expectEnd();
    expect(other.ended()).toBe(false);
  });

  it("a session without bytes never ends by default", async () => {
    const [one] = (await sessions({})).clients;
    await clock.advance(10 * 3_600_000);
    one.send("x");
    await one.expect("2;");
  });

  it("a client waits five seconds for a backend that takes its connect, though there are more", async () => {
    let nowMs = 0;
    // Each takes half a second to fail.
    const onHealth = (): void => {
      nowMs += 500;
    };
    const dead = await Promise.all(Array.from({ length: 40 }, () => closedPort()));
    const backends = dead.map((port, n) => backendSpec(`dead${n}`, port));
    await start({ backends }, { clock: { ...clock, monotonic: () => nowMs }, onHealth });
    expect(await client().expectEnd()).toBe("");
    expect(bench.proxy.status()[0]?.backends.filter(({ counters }) => counters.connections > 0)).toHaveLength(10);
  });
});

import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import type { ProxyDeps } from "./proxy.ts";
import { isLoad, mayRetry } from "./retry.ts";
import { DEFAULT_TIMEOUTS, type ServiceSpec } from "./snapshot.ts";
import {
  type Bench,
  backendSpec,
  closedPort,
  type RawBackend,
  type RawClient,
  rawBackend,
  rawClient,
  startBench,
} from "./testing/bench.ts";

describe("mayRetry", () => {
  const held = { idempotent: false, held: true };
  it.each([
    [{ idempotent: true, held: true }, { how: "eof", reused: false }, true],
    [{ idempotent: true, held: true }, { how: "reset", reused: false }, true],
    [{ idempotent: true, held: true }, { how: "connect", reused: false }, true],
    [held, { how: "connect", reused: false }, true],
    [held, { how: "reset", reused: true }, true],
    [held, { how: "reset", reused: false }, false],
    [held, { how: "lost", reused: false }, true],
    [{ idempotent: false, held: false }, { how: "lost", reused: false }, false],
    [held, { how: "eof", reused: true }, false],
    [held, { how: "eof", reused: false }, false],
    [{ idempotent: false, held: false }, { how: "connect", reused: false }, false],
    [{ idempotent: false, held: false }, { how: "reset", reused: true }, false],
  ] as const)("%j after %j: %s", (request, death, expected) => {
    expect(mayRetry(request, death)).toBe(expected);
  });
});

it.each([
  [{ how: "reset", reused: false }, true],
  [{ how: "eof", reused: false }, true],
  [{ how: "reset", reused: true }, false],
  [{ how: "eof", reused: true }, false],
  [{ how: "connect", reused: false }, false],
  [{ how: "lost", reused: false }, false],
] as const)("a retry after %j is load: %s", (death, expected) => {
  expect(isLoad(death)).toBe(expected);
});

const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let bench: Bench;
afterEach(() => bench?.close());

async function start(
  backends: readonly RawBackend[],
  change: Partial<ServiceSpec> = {},
  deps: Partial<ProxyDeps> = {},
): Promise<RawClient> {
  bench = await startBench({ backends: backends.map(({ port }, n) => backendSpec(`b${n}`, port)), ...change }, deps);
  for (const backend of backends) bench.onClose(backend.close);
  return connected();
}

function connected(): RawClient {
  const client = rawClient(bench.port());
  bench.onClose(() => {
    client.socket.destroy();
  });
  return client;
}

const serve = (socket: Socket, all: string): void => {
  if (all.endsWith("\r\n\r\n") || all.endsWith("body")) socket.write(OK);
};
const closeAfterReading = (socket: Socket): void => {
  socket.end();
};
const resetAfterReading = (socket: Socket): void => {
  socket.resetAndDestroy();
};

/** Requests a backend received, over all its connections. */
function requests(backend: RawBackend): number {
  return backend.received.join("").split(/(?:GET|POST|HEAD|OPTIONS) \/x /).length - 1;
}

describe.each([
  ["closes", closeAfterReading],
  ["resets", resetAfterReading],
])("a backend that takes the request and %s", (_, bad) => {
  it.each(["GET", "HEAD", "OPTIONS"])("costs a %s nothing", async (method) => {
    const backends = [await rawBackend(bad), await rawBackend(serve)];
    const client = await start(backends);
    for (let n = 0; n < 4; n++) {
      client.send(`${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`);
      await until(() => client.text().split("HTTP/1.1 200 OK").length === n + 2, { what: `answer ${n}` });
    }
    expect(client.text()).not.toContain("HTTP/1.1 50");
    expect(requests(backends[1] as RawBackend)).toBe(4);
    expect(requests(backends[0] as RawBackend)).toBeGreaterThan(0);
  });

  it("gets a POST on a new connection once, and it ends there with 502", async () => {
    const backends = [await rawBackend(bad), await rawBackend(bad)];
    const client = await start(backends);
    client.send(POST);
    await client.expect(/^HTTP\/1.1 502 /);
    expect(requests(backends[0] as RawBackend) + requests(backends[1] as RawBackend)).toBe(1);
  });

  it("is asked at most three times for a GET in all", async () => {
    const backends = await Promise.all(Array.from({ length: 5 }, () => rawBackend(bad)));
    const client = await start(backends);
    client.send(GET);
    await client.expect(/^HTTP\/1.1 502 /);
    expect(backends.map(requests).reduce((a, b) => a + b)).toBe(3);
  });
});

describe("a kept connection that died", () => {
  /** First connection: answers once, then does `die` on the next request. Later ones serve. */
  const tired = (die: (socket: Socket) => void) => (socket: Socket, all: string, connection: number) => {
    if (connection > 0 || requestsIn(all) === 1) serve(socket, all);
    else die(socket);
  };
  const requestsIn = (all: string): number => all.split(" /x ").length - 1;

  it("by a reset costs a POST nothing, on the only backend too", async () => {
    const backend = await rawBackend(tired(resetAfterReading));
    const client = await start([backend]);
    client.send(GET);
    await client.expect(/ok$/);
    client.send(POST);
    await client.expect(/ok.*ok$/s);
    expect(backend.received.length).toBe(2);
    expect(backend.received[1]).toMatch(/^POST .*\r\n\r\nbody$/s);
  });

  it("in order after the backend read the POST ends with 502, asked once", async () => {
    const backend = await rawBackend(tired(closeAfterReading));
    const client = await start([backend]);
    client.send(GET);
    await client.expect(/ok$/);
    client.send(POST);
    await client.expect(/HTTP\/1.1 502 /);
    expect(backend.received.join("").split("POST ").length - 1).toBe(1);
  });

  it("before our request reached it costs a POST nothing, though its end comes first", async () => {
    const backend = await rawBackend(serve);
    const client = await start([backend]);
    client.send(GET);
    await client.expect(/ok$/);
    // Both happen before the proxy's next turn: it reads the request, writes it, and only then sees the end that the
    // backend's kernel had sent before; the request itself was answered with a reset.
    client.send(POST);
    backend.sockets[0]?.destroy();
    await client.expect(/ok.*ok$/s);
    expect(client.text()).not.toContain("HTTP/1.1 50");
    expect(backend.received.map((all) => all.includes("POST"))).toEqual([false, true]);
  });

  it("is thrown away at once when it ends while idle", async () => {
    const backend = await rawBackend((socket, all, connection) => {
      serve(socket, all);
      if (connection === 0) socket.end();
    });
    const client = await start([backend]);
    client.send(GET);
    await client.expect(/ok$/);
    await until(() => backend.sockets[0]?.readableEnded, { what: "our end of it" });
    client.send(POST);
    await client.expect(/ok.*ok$/s);
    expect(requests(backend)).toBe(2);
  });
});

describe("a connect that fails", () => {
  it("costs neither GET nor POST anything, and ejects the backend", async () => {
    const good = await rawBackend(serve);
    const dead = await closedPort();
    const client = await start([good], { backends: [backendSpec("dead", dead), backendSpec("good", good.port)] });
    for (let n = 0; n < 6; n++) {
      client.send(n % 2 ? GET : POST);
      await until(() => client.text().split("\r\n\r\nok").length === n + 2, { what: `answer ${n}` });
    }
    expect(client.text()).not.toContain("HTTP/1.1 50");
    const backends = bench.proxy.status()[0]?.backends;
    expect(backends?.[0]).toMatchObject({
      key: "dead",
      health: "down",
      usable: false,
      reason: "ejected: connect refused",
      counters: { requests: 1, failures: 1, retries: 1 },
    });
    expect(bench.events.filter(({ name }) => name === "backend.health")).toHaveLength(1);
  });

  it("goes on through all of many dead backends to the living one", async () => {
    const good = await rawBackend(serve);
    const dead = await Promise.all(Array.from({ length: 8 }, () => closedPort()));
    const client = await start([good], {
      backends: [...dead.map((port, n) => backendSpec(`dead${n}`, port)), backendSpec("good", good.port)],
    });
    client.send(POST);
    await client.expect(/ok$/);
  });

  it("ends with 503, its reason and Retry-After when there is none", async () => {
    const client = await start([], { backends: [backendSpec("dead", await closedPort())] });
    client.send(GET);
    const text = await client.expect(/^HTTP\/1.1 503 .*\r\n\r\n.*\n$/s);
    expect(text).toMatch(/\r\nRetry-After: 1\r\n/);
    expect(text).toMatch(
      /\r\nX-Smartstack-Reason: service web has no usable backend \(dead: ejected: connect refused\)\r\n/,
    );
  });

  it("still tries backends that were all ejected, and they serve again", async () => {
    const port = await closedPort();
    const client = await start([], {
      backends: [backendSpec("b", port)],
      check: { type: "tcp", when: "on_doubt", intervalMs: 60_000, timeoutMs: 100, rise: 2, fall: 3 },
    });
    client.send(GET);
    await client.expect(/^HTTP\/1.1 503 /);
    const back = await rawBackend(serve);
    await bench.apply({ backends: [backendSpec("b", back.port), backendSpec("dead", port)] });
    bench.onClose(back.close);
    for (let n = 0; n < 3; n++) client.send(GET);
    await until(() => client.text().split("\r\n\r\nok").length === 4, { what: "three answers" });
  });

  it("is given up after connectMs when nobody answers at all", async () => {
    const good = await rawBackend(serve);
    // A listener with a full backlog drops SYNs, as a removed container's address does.
    const full = await silentPort();
    const clock = fakeClock();
    const backends = [backendSpec("silent", full.port), backendSpec("good", good.port)];
    const client = await start([good], { backends }, { clock });
    bench.onClose(full.close);
    for (let n = 0; n < 2; n++) client.send(POST);
    const silent = () => bench.proxy.status()[0]?.backends[0];
    await until(() => silent()?.counters.connections === 1, { what: "the try" });
    await clock.advance(DEFAULT_TIMEOUTS.connectMs - 100);
    expect(silent()?.usable).toBe(true);
    await clock.advance(200);
    await client.expect(/ok.*ok$/s);
    expect(silent()?.reason).toBe("ejected: connect timed out");
  });

  it("is given up after five seconds of dead backends, though there are more", async () => {
    let nowMs = 0;
    const clock = { ...fakeClock(), monotonic: () => nowMs };
    // Each takes half a second to fail.
    const onHealth = (): void => {
      nowMs += 500;
    };
    const dead = await Promise.all(Array.from({ length: 60 }, () => closedPort()));
    const backends = dead.map((port, n) => backendSpec(`dead${n}`, port));
    const client = await start([], { backends }, { clock, onHealth });
    client.send(POST);
    await client.expect(/^HTTP\/1.1 503 /);
    const tried = bench.proxy.status()[0]?.backends.filter(({ counters }) => counters.connections > 0).length;
    // The first failure, at half a second, begins the five seconds.
    expect(tried).toBe(11);
  });
});

describe("a POST in the kernel's queue of a backend that dies", () => {
  it("goes to another backend, its body whole", async () => {
    const good = await rawBackend(serve);
    const dying = await queueingBackend();
    const client = await start([good], { backends: [backendSpec("dying", dying.port)] });
    bench.onClose(dying.kill);
    client.send(POST.slice(0, -2));
    await until(() => bench.proxy.status()[0]?.backends[0]?.counters.bytesIn, { what: "the request in the queue" });
    await bench.apply({ backends: [backendSpec("dying", dying.port), backendSpec("good", good.port)] });
    await dying.kill();
    client.send(POST.slice(-2));
    await client.expect(/^HTTP\/1.1 200 /);
    expect(good.received[0]).toMatch(/^POST .*\r\n\r\nbody$/s);
  });
});

it("a GET outlives any number of backends that die one after another with it in their kernels' queues", async () => {
  const good = await rawBackend(serve);
  const dying = await Promise.all(Array.from({ length: 5 }, () => queueingBackend()));
  // Asked last, so that the request has met all the others before.
  const last = backendSpec("good", good.port, { suspect: true });
  const specs = dying.map(({ port }, n) => backendSpec(`dying${n}`, port, { weight: 100 }));
  const client = await start([good], { backends: [...specs, last] });
  for (const { kill } of dying) bench.onClose(kill);
  client.send(GET);
  const killed = new Set<number>();
  const reached = (): number | undefined => {
    const backends = bench.proxy.status()[0]?.backends ?? [];
    const at = backends.findIndex(({ counters }, n) => n < dying.length && !killed.has(n) && counters.bytesIn > 0);
    return at < 0 ? undefined : at;
  };
  while (killed.size < dying.length) {
    const at = await until(() => reached()?.toString(), { what: `the request in queue ${killed.size}` });
    killed.add(Number(at));
    await dying[Number(at)]?.kill();
  }
  await client.expect(/^HTTP\/1.1 200 /);
});

describe("with its retry budget spent, a service", () => {
  const retryBudget = { ratio: 0, minPerSecond: 0 };

  it.each([
    ["closes", closeAfterReading],
    ["resets", resetAfterReading],
  ])("answers 502 where a backend took a GET and %s, counts it, and goes on", async (_, bad) => {
    const backends = [await rawBackend(bad), await rawBackend(serve)];
    const client = await start(backends, { retryBudget });
    client.send(GET + GET);
    const text = await client.expect(/HTTP\/1.1 502 .*HTTP\/1.1 200 .*ok$|ok.*HTTP\/1.1 502 .*\n$/s);
    expect(text).toMatch(/\r\nX-Smartstack-Reason: backend b\d: [^\r]*; retry budget spent\r\n/);
    expect(bench.proxy.status()[0]?.counters).toMatchObject({ retries: 0, retryBudgetSpent: 1, noBackend: 0 });
  });

  it("has it again by its floor after a while", async () => {
    const clock = fakeClock();
    const off = { type: "tcp", when: "off", intervalMs: 1_000, timeoutMs: 1_000, rise: 1, fall: 1 } as const;
    const bad = await rawBackend(resetAfterReading);
    const client = await start([bad], { retryBudget: { ratio: 0, minPerSecond: 1 }, check: off }, { clock });
    const count = (what: RegExp): number => client.text().match(what)?.length ?? 0;
    const ask = async (n: number): Promise<void> => {
      client.send(GET);
      await until(() => count(/HTTP\/1.1 502 /g) === n, { what: `answer ${n}` });
    };
    // Ten tokens at first, two for each.
    for (let n = 1; n <= 5; n++) await ask(n);
    expect(count(/retry budget spent\r/g)).toBe(0);
    await ask(6);
    expect(count(/retry budget spent\r/g)).toBe(1);
    await clock.advance(30_000);
    await ask(7);
    expect(count(/retry budget spent\r/g)).toBe(1);
  });

  it("still spares its clients what no backend has read: failed connects, kept connections that died", async () => {
    let died = false;
    const tired = await rawBackend((socket, all) => {
      if (died || !all.includes("POST")) return serve(socket, all);
      died = true;
      socket.resetAndDestroy();
    });
    const client = await start([tired], {
      retryBudget,
      backends: [backendSpec("tired", tired.port), backendSpec("dead", await closedPort())],
    });
    client.send(GET + GET + POST);
    await until(() => client.text().split("\r\n\r\nok").length === 4, { what: "three answers" });
    expect(died).toBe(true);
    const counters = bench.proxy.status()[0]?.counters;
    expect(counters?.retryBudgetSpent).toBe(0);
    expect(counters?.retries).toBeGreaterThanOrEqual(2);
  });
});

it("gives the second chance up above 128 KiB, without holding more", async () => {
  const backend = await rawBackend((socket, all, connection) => {
    if (all.endsWith("\r\n\r\n")) socket.write(OK);
    else if (connection === 0 && all.length > 200_000) socket.resetAndDestroy();
  });
  const client = await start([backend]);
  client.send(GET);
  await client.expect(/ok$/);
  client.send(`POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n${"x".repeat(399_999)}`);
  await client.expect(/HTTP\/1.1 502 /);
  expect(backend.received.length).toBe(1);
});

it("answers 503 with the reason for a service without backends, and keeps the connection", async () => {
  const client = await start([]);
  client.send(GET + GET);
  await until(() => client.text().split("service web has no backends").length === 5, { what: "two answers" });
  expect(bench.proxy.status()[0]?.counters).toMatchObject({ noBackend: 2, responses: [0, 0, 0, 0, 0, 2] });
});

/** A backend that never accepts: its connections stand in the kernel's queue until it is killed. */
async function queueingBackend(): Promise<{ port: number; kill: () => Promise<void> }> {
  const child = spawn(process.execPath, [
    "-e",
    `const s = require("net").createServer().listen({port: 0, host: "127.0.0.1", backlog: 1}, () => {
       console.log(s.address().port); process.kill(process.pid, "SIGSTOP"); });`,
  ]);
  const port = await new Promise<number>((resolve) => {
    child.stdout.once("data", (text) => resolve(Number(text)));
  });
  return {
    port,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** A port whose kernel queue is full: further SYNs are dropped without an answer. */
async function silentPort(): Promise<{ port: number; close: () => Promise<void> }> {
  const { port, kill } = await queueingBackend();
  const fillers = Array.from({ length: 6 }, () => connect({ port, host: "127.0.0.1" }).on("error", () => undefined));
  await until(() => fillers.filter((socket) => !socket.connecting).length >= 2, { what: "a full queue" });
  return {
    port,
    async close() {
      for (const socket of fillers) socket.destroy();
      await kill();
    },
  };
}

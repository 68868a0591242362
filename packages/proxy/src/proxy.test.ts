import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { Agent, createServer, request } from "node:http";
import { createServer as createNetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, systemClock } from "@smartstack/core";
import { fakeClock, seededRandom, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { createProxy } from "./proxy.ts";
import { DEFAULT_TIMEOUTS, type ServiceSpec } from "./snapshot.ts";
import {
  type Bench,
  backendSpec,
  closedPort,
  closeServer,
  listenOn,
  rawBackend,
  rawClient,
  serviceSpec,
  startBench,
} from "./testing/bench.ts";

let bench: Bench | undefined;
const closers: (() => unknown)[] = [];
afterEach(async () => {
  await bench?.close();
  bench = undefined;
  for (const close of closers.splice(0).reverse()) await close();
});

/** A named HTTP backend as people write them; `stop` kills it with all its connections. */
async function named(name: string, delayMs = 0) {
  const sockets = new Set<Socket>();
  let served = 0;
  const server = createServer((req, res) => {
    req.resume().on("end", () => {
      served++;
      setTimeout(() => res.end(name), delayMs);
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listenOn(server, 0);
  const stop = (): Promise<void> => closeServer(server, [...sockets]);
  closers.push(() => server.listening && stop());
  return { port, sockets, served: () => served, stop };
}

function get(port: number, agent: Agent, method = "GET", body?: Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const req = request({ port, agent, method, path: "/" }, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      res.on("end", () => resolve({ status: res.statusCode ?? 0, text }));
      res.on("error", reject);
    });
    req.on("error", reject);
    req.end(body);
  });
}

describe("a pool that changes under load", () => {
  it("fails no request while backends come, go and drain", async () => {
    const all = await Promise.all(["a", "b", "c", "d"].map((name) => named(name, 2)));
    const spec = (n: number) => backendSpec(`b${n}`, (all[n] as { port: number }).port);
    bench = await startBench({ backends: [spec(0), spec(1)] });
    const { apply, port } = bench;
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    closers.push(() => agent.destroy());
    let running = true;
    const seen = new Map<string, number>();
    const bad: unknown[] = [];
    const body = Buffer.alloc(65_536, "x");
    const worker = async (n: number): Promise<void> => {
      while (running) {
        const answer = await get(port(), agent, n % 2 ? "POST" : "GET", n % 2 ? body : undefined).catch((e) => e);
        if (answer.status !== 200) bad.push(answer);
        seen.set(answer.text, (seen.get(answer.text) ?? 0) + 1);
      }
    };
    const workers = Array.from({ length: 8 }, (_, n) => worker(n));
    for (let step = 0; step < 40; step++) {
      const chosen = [0, 1, 2, 3].filter((n) => (step + n) % 4 !== 0);
      const drains = step % 3 === 0 ? { state: "draining" as const } : {};
      await apply({ backends: chosen.map((n, i) => ({ ...spec(n), ...(i === 0 ? drains : {}) })) });
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    running = false;
    await Promise.all(workers);
    expect(bad).toEqual([]);
    expect([...seen.keys()].sort()).toEqual(["a", "b", "c", "d"]);
  });

  it("fails no GET when backends are killed before anyone says so", async () => {
    const good = await named("good", 1);
    bench = await startBench({ backends: [backendSpec("good", good.port)] });
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    closers.push(() => agent.destroy());
    let running = true;
    const bad: unknown[] = [];
    const port = bench.port();
    const worker = async (): Promise<void> => {
      while (running) {
        const answer = await get(port, agent).catch((e) => e);
        if (answer.status !== 200) bad.push(answer);
      }
    };
    const workers = Array.from({ length: 8 }, worker);
    for (let round = 0; round < 10; round++) {
      const victim = await named("victim", 3);
      await bench.apply({ backends: [backendSpec("good", good.port), backendSpec(`v${round}`, victim.port)] });
      await until(() => victim.served() > 3, { what: "traffic to the victim" });
      await victim.stop();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    running = false;
    await Promise.all(workers);
    expect(bad).toEqual([]);
  });

  it("finishes a running request of a removed backend and closes its idle connections at once", async () => {
    const old = await rawBackend(() => undefined);
    const next = await named("next");
    bench = await startBench({ backends: [backendSpec("old", old.port)] });
    bench.onClose(old.close);
    const one = rawClient(bench.port());
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => old.received[0]?.endsWith("\r\n\r\n"), { what: "the request" });
    await bench.apply({ backends: [backendSpec("next", next.port)] });
    old.sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
    await one.expect(/old$/);
    await until(() => old.sockets[0]?.readableEnded, { what: "the upstream's close" });
    // The client's own connection goes on, to the other backend.
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await one.expect(/next$/);
    one.socket.destroy();
  });

  it("answers 503 with the reason when the last backend went, on the same listener and connection", async () => {
    const only = await named("only");
    bench = await startBench({ backends: [backendSpec("only", only.port)] });
    const agent = new Agent({ keepAlive: true });
    closers.push(() => agent.destroy());
    expect(await get(bench.port(), agent)).toEqual({ status: 200, text: "only" });
    const port = bench.port();
    await bench.apply({ backends: [] });
    expect(await get(port, agent)).toMatchObject({ status: 503, text: expect.stringContaining("has no backends") });
    await bench.apply({ backends: [backendSpec("only", only.port)] });
    expect(await get(port, agent)).toEqual({ status: 200, text: "only" });
    expect(bench.proxy.status()[0]?.counters.connections).toBe(1);
  });
});

describe("health", () => {
  const check = { type: "tcp", when: "on_doubt", intervalMs: 50, timeoutMs: 500, rise: 2, fall: 2 } as const;

  it("brings an ejected backend back by its probes, one event a turn", async () => {
    const told: boolean[] = [];
    const deps = { onHealth: ({ up }: { up: boolean }) => told.push(up) };
    const good = await named("good");
    const victim = await named("victim");
    const specs = [backendSpec("good", good.port), backendSpec("victim", victim.port)];
    bench = await startBench({ backends: specs, check }, deps);
    await victim.stop();
    const agent = new Agent();
    for (let n = 0; n < 4; n++) expect((await get(bench.port(), agent)).text).toBe("good");
    const usable = (): boolean | undefined => bench?.proxy.status()[0]?.backends[1]?.usable;
    expect(usable()).toBe(false);
    const again = createNetServer().listen(victim.port, "127.0.0.1");
    closers.push(() => closeServer(again, []));
    await until(() => usable() === true, { what: "the return" });
    expect(told).toEqual([false, true]);
    expect(bench.events.filter(({ name }) => name === "backend.health")).toHaveLength(2);
  });

  it("probes nobody without doubt, and everybody while the view is stale", async () => {
    let probes = 0;
    const server = createNetServer((socket) => {
      probes++;
      socket.on("error", () => undefined).resume();
    });
    const port = await listenOn(server, 0);
    closers.push(() => closeServer(server, []));
    bench = await startBench({ backends: [backendSpec("b", port)], check });
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(probes).toBe(0);
    await bench.apply({ stale: true });
    await until(() => probes >= 3, { what: "probes" });
    await bench.apply({ stale: false });
    const before = probes;
    await new Promise((resolve) => setTimeout(resolve, 250));
    expect(probes - before).toBeLessThanOrEqual(1);
  });

  it("takes a suspect out after `fall` failed probes even with checks off", async () => {
    const port = await closedPort();
    bench = await startBench({
      backends: [backendSpec("b", port, { suspect: true })],
      check: { ...check, when: "off" },
    });
    expect(bench.proxy.status()[0]?.backends[0]).toMatchObject({ usable: true, health: "unchecked" });
    await until(() => bench?.proxy.status()[0]?.backends[0]?.health === "down", { what: "the verdict" });
    expect(bench.proxy.status()[0]?.backends[0]?.reason).toBe("2 probes failed: connect refused");
  });

  it.each([
    [200, "up"],
    [404, "down"],
    [503, "down"],
  ])("judges an HTTP check by its status: %i is %s", async (status, health) => {
    const server = createServer((req, res) => {
      res.statusCode = req.url === "/health" ? status : 500;
      res.end();
    });
    const port = await listenOn(server, 0);
    closers.push(() => closeServer(server, []));
    bench = await startBench({
      backends: [backendSpec("b", port)],
      check: { ...check, type: "http", path: "/health", when: "always" },
    });
    await until(() => bench?.proxy.status()[0]?.backends[0]?.health === health, { what: health });
  });
});

describe("listeners", () => {
  it("reports a taken address, serves the others, and binds it once it is free", async () => {
    const holder = createNetServer();
    const taken = await listenOn(holder, 0);
    closers.push(() => holder.listening && closeServer(holder, []));
    bench = await startBench(
      {
        listen: [
          { host: "127.0.0.1", port: 0 },
          { host: "127.0.0.1", port: taken },
        ],
      },
      { retryListenMs: 40 },
    );
    const state = (n: number): string | undefined => bench?.proxy.status()[0]?.listeners[n]?.state;
    expect([state(0), state(1)]).toEqual(["bound", "failed"]);
    expect(bench.proxy.status()[0]?.listeners[1]?.reason).toContain("in use");
    await closeServer(holder, []);
    await until(() => state(1) === "bound", { what: "the second listener" });
    const names = bench.events.map(({ name }) => name);
    expect(names.filter((name) => name === "listener.failed")).toHaveLength(1);
    expect(names.filter((name) => name === "listener.bound")).toHaveLength(2);
  });

  it("tries an address that cannot be had again after a second", async () => {
    const clock = fakeClock();
    let binds = 0;
    const bind = (): Promise<void> => {
      binds++;
      return Promise.reject(new Error("not now"));
    };
    bench = await startBench({}, { clock, bind, random: () => 1 });
    await clock.advance(999);
    expect(binds).toBe(1);
    await clock.advance(2);
    expect(binds).toBe(2);
    expect(bench.proxy.status()[0]?.listeners[0]).toMatchObject({ state: "failed" });
  });

  it("unbinds without touching what is established", async () => {
    const backend = await named("b");
    const port = await closedPort();
    bench = await startBench({ listen: [{ host: "127.0.0.1", port }], backends: [backendSpec("b", backend.port)] });
    const one = rawClient(port);
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await one.expect(/b$/);
    await bench.apply({ listen: [] });
    const refused = rawClient(port);
    await until(() => refused.error()?.code === "ECONNREFUSED", { what: "a refusal" });
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await one.expect(/b.*b$/s);
    one.socket.destroy();
  });

  it("moves an address between services within one snapshot, and shows who lost a contest", async () => {
    const port = await closedPort();
    const backend = await named("b");
    const events = eventBus();
    const proxy = createProxy({ clock: systemClock, random: seededRandom(1), events });
    closers.push(() => proxy.close({ graceMs: 0 }));
    const spec = (name: string, change: Partial<ServiceSpec> = {}): ServiceSpec =>
      serviceSpec({
        name,
        listen: [{ host: "127.0.0.1", port }],
        backends: [backendSpec(name, backend.port)],
        ...change,
      });
    proxy.apply({ revision: 1, services: [spec("one")] });
    await proxy.settled();
    const agent = new Agent();
    proxy.apply({ revision: 2, services: [spec("two"), spec("one")] });
    await proxy.settled();
    const listenerOf = (name: string) => proxy.status().find((service) => service.name === name)?.listeners[0];
    expect(listenerOf("two")).toMatchObject({ state: "failed", reason: "service one listens there" });
    expect(listenerOf("one")).toMatchObject({ state: "bound" });
    proxy.apply({ revision: 3, services: [spec("two")] });
    expect((await get(port, agent)).status).toBe(200);
    expect(proxy.status()).toMatchObject([{ name: "two", revision: 3, counters: { requests: 1 } }]);
  });

  it("serves a unix socket, and takes over the file of a dead server but no other file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "smartstack-proxy-"));
    closers.push(() => rm(folder, { recursive: true }));
    const path = join(folder, "web.sock");
    const other = join(folder, "data");
    await writeFile(other, "precious");
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(`${path}.was`, resolve));
    await rename(`${path}.was`, path);
    dead.close();
    const backend = await rawBackend((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    bench = await startBench({ listen: [{ path }, { path: other }], backends: [backendSpec("b", backend.port)] });
    bench.onClose(backend.close);
    expect(bench.proxy.status()[0]?.listeners).toMatchObject([
      { address: `unix:${path}`, state: "bound" },
      { address: `unix:${other}`, state: "failed" },
    ]);
    const failed = bench.events.filter(({ name }) => name === "listener.failed");
    expect(failed).toMatchObject([{ data: { address: `unix:${other}` } }]);
    const answer = await new Promise((resolve, reject) => {
      request({ socketPath: path, path: "/" }, (res) => resolve(res.statusCode))
        .on("error", reject)
        .end();
    });
    expect(answer).toBe(200);
    expect(backend.received[0]).not.toContain("X-Forwarded-For");
    expect((await stat(other)).size).toBe(8);
  });
});

describe("close", () => {
  it("lets a running request finish, says Connection: close, and serves new ones meanwhile", async () => {
    const slow = await named("slow", 150);
    bench = await startBench({ backends: [backendSpec("slow", slow.port)] });
    const port = bench.port();
    const one = rawClient(port);
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => bench?.proxy.status()[0]?.backends[0]?.counters.active === 1, { what: "the request" });
    const closed = bench.proxy.close({ graceMs: 5_000 });
    const two = rawClient(port);
    two.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (const raw of [one, two]) {
      const text = await raw.expectEnd();
      expect(text).toMatch(/^HTTP\/1.1 200 .*Connection: close\r\n/s);
      expect(text).toMatch(/slow$/);
    }
    await closed;
    const three = rawClient(port);
    await until(() => three.error()?.code === "ECONNREFUSED", { what: "a refusal" });
  });

  it("stops accepting at once when asked to", async () => {
    const slow = await named("slow", 150);
    bench = await startBench({ backends: [backendSpec("slow", slow.port)] });
    const port = bench.port();
    const one = rawClient(port);
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => bench?.proxy.status()[0]?.backends[0]?.counters.active === 1, { what: "the request" });
    const closed = bench.proxy.close({ graceMs: 5_000, acceptWhileDraining: false });
    const two = rawClient(port);
    await until(() => two.error()?.code === "ECONNREFUSED", { what: "a refusal" });
    expect(await one.expectEnd()).toMatch(/slow$/);
    await closed;
  });

  it("ends at graceMs whatever runs, and at once when called again with 0", async () => {
    const backend = await rawBackend(() => undefined);
    for (const second of [false, true]) {
      bench = await startBench({ mode: "tcp", backends: [backendSpec("b", backend.port)] });
      const one = rawClient(bench.port());
      await until(() => bench?.proxy.status()[0]?.backends[0]?.counters.active === 1, { what: "the session" });
      const startedMs = performance.now();
      const closed = bench.proxy.close({ graceMs: second ? 60_000 : 100 });
      if (second) await bench.proxy.close({ graceMs: 0 });
      await closed;
      expect(performance.now() - startedMs).toBeLessThan(1_000);
      await one.expectEnd();
    }
    await backend.close();
  });

  it("is not held up by idle keep-alive clients", async () => {
    const backend = await named("b");
    bench = await startBench({ backends: [backendSpec("b", backend.port)], timeouts: DEFAULT_TIMEOUTS });
    const one = rawClient(bench.port());
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await one.expect(/b$/);
    await bench.proxy.close({ graceMs: 60_000 });
    await one.expectEnd();
  });
});

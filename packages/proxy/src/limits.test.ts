import { Agent, get as getUrl } from "node:http";
import { until } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import { DEFAULT_GRADIENT } from "./gradient.ts";
import { DEFAULT_HASH, DEFAULT_TIMEOUTS, type ServiceSpec } from "./snapshot.ts";
import { type Bench, backendSpec, type RawClient, rawBackend, rawClient, startBench } from "./testing/bench.ts";

const GET = "GET /%s HTTP/1.1\r\nHost: web\r\n\r\n";
const get = (path: string): string => GET.replace("%s", path);

/** A backend that answers a request when it is told to, and counts how many it had at once. */
interface HoldingBackend {
  readonly port: number;
  readonly key: string;
  /** The paths that wait for their answer. */
  readonly held: readonly string[];
  most(): number;
  /** Connections it has. */
  open(): number;
  answer(path: string): void;
}

async function holdingBackend(bench: Pick<Bench, "onClose">, key: string): Promise<HoldingBackend> {
  const waiting = new Map<string, () => void>();
  const held: string[] = [];
  let most = 0;
  const seen: number[] = [];
  const backend = await rawBackend((socket, all, connection) => {
    const heads = all.split("\r\n\r\n").slice(0, -1);
    for (const head of heads.slice(seen[connection] ?? 0)) {
      const path = /\/(\S*) /.exec(head)?.[1] ?? "?";
      held.push(path);
      most = Math.max(most, held.length);
      waiting.set(path, () => {
        held.splice(held.indexOf(path), 1);
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${key.length + path.length + 1}\r\n\r\n${key}:${path}`);
      });
    }
    seen[connection] = heads.length;
  });
  bench.onClose(backend.close);
  return {
    port: backend.port,
    key,
    held,
    most: () => most,
    open: () => backend.sockets.filter((socket) => !socket.readableEnded && !socket.destroyed).length,
    answer: (path) => waiting.get(path)?.(),
  };
}

interface Scene {
  readonly bench: Bench;
  readonly backends: readonly HoldingBackend[];
  come(bytes?: string): RawClient;
  counters(): ReturnType<Bench["proxy"]["status"]>[number]["counters"];
}

async function withScene(
  keys: readonly string[],
  change: Partial<ServiceSpec>,
  act: (scene: Scene) => Promise<void>,
): Promise<void> {
  const closers: (() => void | Promise<void>)[] = [];
  const backends = await Promise.all(keys.map((key) => holdingBackend({ onClose: (c) => closers.push(c) }, key)));
  const bench = await startBench({ backends: backends.map(({ key, port }) => backendSpec(key, port)), ...change });
  for (const close of closers) bench.onClose(close);
  try {
    await act({
      bench,
      backends,
      come(bytes) {
        const client = rawClient(bench.port());
        bench.onClose(() => void client.socket.destroy());
        if (bytes !== undefined) client.send(bytes);
        return client;
      },
      counters: () => bench.proxy.status()[0]?.counters as never,
    });
  } finally {
    await bench.close();
  }
}

const waitFor = (what: string, condition: () => boolean): Promise<true> =>
  until(condition, { what, timeoutMs: 10_000, everyMs: 2 });

describe("max_requests in http", () => {
  it("is never passed, and those that wait are answered in the order in which they came", async () => {
    await withScene(["a", "b"], { limits: { requestsMax: 2, queueMax: 100 } }, async (scene) => {
      const { backends, come, counters } = scene;
      const clients: RawClient[] = [];
      for (let n = 0; n < 12; n++) {
        clients.push(come(get(`${n}`)));
        await waitFor(
          "it is held or waits",
          () => backends.flatMap(({ held }) => held).length + counters().waiting > n,
        );
      }
      expect(counters()).toMatchObject({ waiting: 8, queued: 8 });
      for (let n = 0; n < 12; n++) {
        await waitFor(`${n} is held`, () => backends.some(({ held }) => held.includes(`${n}`)));
        const later = backends.flatMap(({ held }) => held).filter((path) => Number(path) > n + 3);
        expect(later).toEqual([]);
        for (const backend of backends) if (backend.held.includes(`${n}`)) backend.answer(`${n}`);
        await clients[n]?.expect(`:${n}`);
      }
      expect(backends.map((backend) => backend.most())).toEqual([2, 2]);
      expect(counters()).toMatchObject({ waiting: 0, queueTimeouts: 0, noBackend: 0 });
    });
  });

  it("answers 503 to who waited too long, and serves the same connection again", async () => {
    const timeouts = { ...DEFAULT_TIMEOUTS, queueMs: 100 };
    await withScene(["a"], { limits: { requestsMax: 1, queueMax: 100 }, timeouts }, async (scene) => {
      const [a] = scene.backends as [HoldingBackend];
      const first = scene.come(get("first"));
      await waitFor("first is held", () => a.held.length === 1);
      const second = scene.come(get("second"));
      const text = await second.expect("\r\n\r\n503");
      expect(text).toMatch(/^HTTP\/1.1 503 .*Retry-After: 1\r\n/s);
      expect(text).toContain("waited 100 ms: service web has no room (a has 1 of 1; 1 wait)");
      expect(scene.counters()).toMatchObject({ queueTimeouts: 1, waiting: 0, noBackend: 0 });
      a.answer("first");
      await first.expect("a:first");
      second.send(get("third"));
      await waitFor("third is held", () => a.held.includes("third"));
      a.answer("third");
      await second.expect("a:third");
    });
  });

  it("answers 503 at once when too many wait; who leaves makes place", async () => {
    await withScene(["a"], { limits: { requestsMax: 1, queueMax: 1 } }, async (scene) => {
      const [a] = scene.backends as [HoldingBackend];
      scene.come(get("first"));
      await waitFor("first is held", () => a.held.length === 1);
      const second = scene.come(get("second"));
      await waitFor("second waits", () => scene.counters().waiting === 1);
      await scene.come(get("third")).expect("has no room (a has 1 of 1; 1 wait)");
      expect(scene.counters().queueFull).toBe(1);
      second.socket.resetAndDestroy();
      await waitFor("nobody waits", () => scene.counters().waiting === 0);
      const fourth = scene.come(get("fourth"));
      await waitFor("fourth waits", () => scene.counters().waiting === 1);
      a.answer("first");
      await waitFor("fourth is held", () => a.held.includes("fourth"));
      a.answer("fourth");
      await fourth.expect("a:fourth");
    });
  });

  it("brings a long body whole to the backend after the wait, and keeps what follows it", async () => {
    const whole = "x".repeat(700_000);
    let got = "";
    const backend = await rawBackend((socket, all) => {
      got = all;
      if (all.startsWith("GET /hold")) return;
      if (all.endsWith("GET /after HTTP/1.1\r\n")) return;
      if (all.includes(whole)) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    });
    const bench = await startBench({
      backends: [backendSpec("a", backend.port)],
      limits: { requestsMax: 1, queueMax: 10 },
    });
    bench.onClose(backend.close);
    try {
      const holder = rawClient(bench.port());
      holder.send(get("hold"));
      await waitFor("it is held", () => got.startsWith("GET /hold"));
      const client = rawClient(bench.port());
      bench.onClose(() => void client.socket.destroy());
      client.send(`POST /post HTTP/1.1\r\nHost: web\r\nContent-Length: ${whole.length}\r\n\r\n${whole}`);
      await waitFor("it waits", () => bench.proxy.status()[0]?.counters.waiting === 1);
      holder.socket.resetAndDestroy();
      await client.expect("\r\n\r\ndone");
    } finally {
      await bench.close();
    }
  });

  it("changes hot: more room lets those who wait go, less touches nobody who is there", async () => {
    await withScene(["a"], { limits: { requestsMax: 1, queueMax: 100 } }, async (scene) => {
      const [a] = scene.backends as [HoldingBackend];
      const clients = ["0", "1", "2"].map((path) => scene.come(get(path)));
      await waitFor("two wait", () => scene.counters().waiting === 2);
      await scene.bench.apply({ limits: { requestsMax: 3, queueMax: 100 } });
      await waitFor("all are held", () => a.held.length === 3);
      await scene.bench.apply({ limits: { requestsMax: 1, queueMax: 100 } });
      const last = scene.come(get("last"));
      await waitFor("it waits", () => scene.counters().waiting === 1);
      for (const path of [...a.held].slice(0, 2)) a.answer(path);
      await waitFor("two are answered", () => clients.filter((client) => client.text().includes("200")).length === 2);
      expect(scene.counters().waiting).toBe(1);
      a.answer(a.held[0] as string);
      await waitFor("last is held", () => a.held.includes("last"));
      a.answer("last");
      await last.expect("a:last");
      expect(scene.bench.proxy.status()[0]?.backends[0]?.slots).toBe(1);
    });
  });

  it("sends those who wait to a backend that comes, and tells them when the last one is gone", async () => {
    await withScene(["a", "b"], { limits: { requestsMax: 1, queueMax: 100 } }, async (scene) => {
      const [a, b] = scene.backends as [HoldingBackend, HoldingBackend];
      const [specA, specB] = [backendSpec("a", a.port), backendSpec("b", b.port)];
      await scene.bench.apply({ backends: [specA] });
      scene.come(get("first"));
      await waitFor("first is held", () => a.held.length === 1);
      const second = scene.come(get("second"));
      await waitFor("second waits", () => scene.counters().waiting === 1);
      await scene.bench.apply({ backends: [specA, specB] });
      await waitFor("second is held by b", () => b.held.includes("second"));
      const third = scene.come(get("third"));
      await waitFor("third waits", () => scene.counters().waiting === 1);
      await scene.bench.apply({ backends: [] });
      await third.expect("service web has no backends");
      b.answer("second");
      await second.expect("b:second");
    });
  });
});

it("lets nobody wait for another's backend where balance hashes, nor for one where there is no key", async () => {
  const hashed = { balance: "header", hash: { ...DEFAULT_HASH, name: "x-user" } } as const;
  await withScene(["a", "b"], { ...hashed, limits: { requestsMax: 1, queueMax: 2 } }, async (scene) => {
    const { backends, come, counters } = scene;
    const by = (user: string, path: string): string => get(path).replace("\r\n\r\n", `\r\nX-User: ${user}\r\n\r\n`);
    come(by("one", "0"));
    await waitFor("it is held", () => backends.some(({ held }) => held.includes("0")));
    const [full, idle] = backends[0]?.held.length === 1 ? backends : backends.toReversed();
    for (const path of ["1", "2"]) come(by("one", path));
    await waitFor("two wait", () => counters().waiting === 2);
    // Of some users one at least has the other backend.
    const others = Array.from({ length: 20 }, (_, n) => come(by(`other ${n}`, `other${n}`)));
    await waitFor("the idle one has one", () => idle?.held.length === 1);
    expect(full?.held).toEqual(["0"]);
    for (const other of others) other.socket.resetAndDestroy();
  });
});

it("keeps no more connections than max_connections, idle ones included, also when it becomes less", async () => {
  await withScene(["a"], { limits: { connectionsMax: 3, queueMax: 100 } }, async (scene) => {
    const [a] = scene.backends as [HoldingBackend];
    const clients = ["0", "1", "2", "3"].map((path) => scene.come(get(path)));
    for (const path of ["0", "1", "2", "3"]) {
      await waitFor(`${path} is held`, () => a.held.includes(path));
      a.answer(path);
    }
    for (const [n, client] of clients.entries()) await client.expect(`a:${n}`);
    const open = (): number => a.open();
    expect(open()).toBeLessThanOrEqual(3);
    await scene.bench.apply({ limits: { connectionsMax: 1, queueMax: 100 } });
    await waitFor("one is left", () => open() === 1);
  });
});

it("finds out what a backend can bear, where it is to", async () => {
  // Eight at once, each for 5 ms; what is more waits at the backend.
  const jobs: (() => void)[] = [];
  let [running, has, most] = [0, 0, 0];
  const next = (): void => {
    for (; running < 8 && jobs.length > 0; running++) setTimeout(jobs.shift() as () => void, 5);
  };
  const backend = await rawBackend((socket, all) => {
    if (!all.endsWith("\r\n\r\n")) return;
    most = Math.max(most, ++has);
    jobs.push(() => {
      running--;
      has--;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      next();
    });
    next();
  });
  const limits = { adaptive: DEFAULT_GRADIENT, queueMax: 1_000 };
  const bench = await startBench({ backends: [backendSpec("a", backend.port)], limits });
  bench.onClose(backend.close);
  const agent = new Agent({ keepAlive: true });
  bench.onClose(() => agent.destroy());
  let [answers, asking] = [0, true];
  const client = async (): Promise<void> => {
    while (asking) {
      await new Promise<void>((resolve, reject) => {
        const request = getUrl({ host: "127.0.0.1", port: bench.port(), agent }, (response) => {
          response.resume().once("end", resolve);
        });
        request.once("error", reject);
      });
      answers++;
    }
  };
  try {
    const clients = Array.from({ length: 100 }, client);
    await waitFor("it is asked for a while", () => answers > 1_500);
    expect(bench.proxy.status()[0]?.backends[0]?.slots).toBeGreaterThanOrEqual(3);
    asking = false;
    await Promise.all(clients);
    // A hundred ask all the time.
    expect(most).toBeLessThan(60);
    expect(most).toBeGreaterThan(3);
  } finally {
    await bench.close();
  }
});

it("lets TCP clients wait for max_connections, and closes them when it takes too long", async () => {
  const echo = await rawBackend((socket, all) => socket.write(all.slice(-1)));
  const bench = await startBench({
    mode: "tcp",
    backends: [backendSpec("a", echo.port)],
    limits: { connectionsMax: 1, queueMax: 1 },
  });
  bench.onClose(echo.close);
  const come = (text: string): RawClient => {
    const client = rawClient(bench.port());
    bench.onClose(() => void client.socket.destroy());
    client.send(text);
    return client;
  };
  const counters = () => bench.proxy.status()[0]?.counters;
  try {
    const first = come("1");
    await first.expect("1");
    const late = come("2");
    await waitFor("it waits", () => counters()?.waiting === 1);
    await come("3").expectEnd();
    expect(counters()?.queueFull).toBe(1);
    const timeouts = { ...DEFAULT_TIMEOUTS, queueMs: 100 };
    await bench.apply({ limits: { connectionsMax: 1, queueMax: 2 }, timeouts });
    await come("4").expectEnd();
    expect(counters()).toMatchObject({ queueTimeouts: 1, waiting: 1 });
    expect(echo.sockets).toHaveLength(1);
    first.socket.resetAndDestroy();
    await late.expect("2");
    expect(echo.sockets).toHaveLength(2);
  } finally {
    await bench.close();
  }
});

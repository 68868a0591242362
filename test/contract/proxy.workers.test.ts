// The data path in processes of its own: replaced, killed and fed under traffic that notices.
import { Agent, createServer, request } from "node:http";
import { connect, createServer as createTcpServer, type Server } from "node:net";
import { eventBus, type StackEvent, systemClock } from "@smartstack/core";
import { seededRandom, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import type { BackendSpec, ServiceSpec } from "../../packages/proxy/src/snapshot.ts";
import { backendSpec, closedPort, listenOn, serviceSpec } from "../../packages/proxy/src/testing/bench.ts";
import { createWorkers, type Workers, type WorkersDeps } from "../../packages/proxy/src/workers/control.ts";
import { forkWorker } from "../../packages/proxy/src/workers/process.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Started {
  readonly workers: Workers;
  readonly events: StackEvent[];
  apply(...services: readonly ServiceSpec[]): Promise<void>;
}

function start(change: Partial<WorkersDeps> = {}): Started {
  const events: StackEvent[] = [];
  const bus = eventBus();
  bus.subscribe((event) => events.push(event));
  const workers = createWorkers({
    clock: systemClock,
    random: seededRandom(1),
    events: bus,
    workers: 2,
    retireMs: 30_000,
    ...change,
  });
  closers.push(() => workers.close({ graceMs: 0 }));
  let revision = 0;
  return {
    workers,
    events,
    async apply(...services) {
      workers.apply({ revision: ++revision, services });
      await workers.settled();
    },
  };
}

async function listening(server: Server): Promise<number> {
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return listenOn(server, 0);
}

const web = async (name: string): Promise<BackendSpec> =>
  backendSpec(name, await listening(createServer((_, response) => response.end(name))));

const echo = async (): Promise<BackendSpec> =>
  backendSpec("echo", await listening(createTcpServer((socket) => socket.pipe(socket).on("error", () => undefined))));

const portOf = (workers: Workers, name: string): number =>
  Number(
    workers
      .status()
      .find((service) => service.name === name)
      ?.listeners[0]?.address.split(":")
      .at(-1),
  );

const serving = (workers: Workers): readonly number[] =>
  workers.workers().flatMap(({ pid, state }) => (state === "serving" ? pid : []));

const status = (port: number): Promise<number> =>
  get(port, false).then(
    () => 200,
    (error: Error) => Number(/^status (\d+)$/.exec(error.message)?.[1] ?? 0),
  );

function get(port: number, agent: Agent | false): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, agent, timeout: 10_000 }, (response) => {
      let body = "";
      response.on("data", (chunk) => (body += chunk));
      response.on("error", reject);
      response.on("end", () =>
        response.statusCode === 200 ? resolve(body) : reject(new Error(`status ${response.statusCode}`)),
      );
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 10 s")));
    outgoing.on("error", reject);
    outgoing.end();
  });
}

interface Traffic {
  readonly answers: () => number;
  /** Ends it; resolves with what went wrong. */
  stop(): Promise<readonly string[]>;
}

/** Requests one after another, on a kept connection or on a new one each. */
function asking(port: number, agent: Agent | false): Traffic {
  const failures: string[] = [];
  let answers = 0;
  let stopped = false;
  const ended = (async () => {
    while (!stopped) {
      await get(port, agent).then(
        () => answers++,
        (error: NodeJS.ErrnoException) => failures.push(error.code ?? error.message),
      );
    }
    if (agent !== false) agent.destroy();
  })();
  return {
    answers: () => answers,
    async stop() {
      stopped = true;
      await ended;
      return failures;
    },
  };
}

/** One connection that sends numbered lines and wants each back, in order. */
function streaming(port: number): Traffic {
  const failures: string[] = [];
  const socket = connect({ host: "127.0.0.1", port });
  let next = 0;
  let stopped = false;
  let rest = "";
  socket.on("connect", () => socket.write("0\n"));
  socket.on("data", (bytes) => {
    const lines = (rest + bytes.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== String(next)) failures.push(`${line} instead of ${next}`);
      next++;
      if (!stopped) socket.write(`${next}\n`);
    }
  });
  socket.on("error", (error) => failures.push(error.message));
  socket.on("close", () => {
    if (!stopped) failures.push(`closed after ${next}`);
  });
  const stop = async (): Promise<readonly string[]> => {
    stopped = true;
    socket.destroy();
    return failures;
  };
  closers.push(stop);
  return { answers: () => next, stop };
}

const keptAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 });

describe("workers", () => {
  it("are replaced again and again without a failed request or a broken stream", async () => {
    const { workers, events, apply } = start();
    const raw = serviceSpec({ name: "raw", mode: "tcp", backends: [await echo()] });
    await apply(serviceSpec({ backends: [await web("a"), await web("b")] }), raw);
    const [http, tcp] = [portOf(workers, "web"), portOf(workers, "raw")];
    const traffic = [
      ...[1, 2, 3].map(() => asking(http, keptAgent())),
      ...[1, 2, 3].map(() => asking(http, false)),
      ...[1, 2, 3].map(() => streaming(tcp)),
    ];
    for (let round = 1; round <= 3; round++) {
      const before = serving(workers);
      await workers.replaceAll();
      expect(serving(workers)).toHaveLength(2);
      expect(serving(workers).some((pid) => before.includes(pid))).toBe(false);
      const marks = traffic.map(({ answers }) => answers());
      await until(() => traffic.every(({ answers }, n) => answers() > (marks[n] ?? 0) + 10), {
        what: `traffic after replacement ${round}`,
        timeoutMs: 10_000,
      });
    }
    const failures = (await Promise.all(traffic.map(({ stop }) => stop()))).flat();
    expect(failures).toEqual([]);
    expect(events.filter(({ name }) => name === "worker.ended")).toEqual([]);
    await until(() => workers.workers().length === 2, { what: "the end of the retired", timeoutMs: 10_000 });
    const asked = traffic.slice(0, 6).reduce((sum, { answers }) => sum + answers(), 0);
    await until(() => workers.status()[0]?.counters.requests === asked, {
      what: `all ${asked} requests counted`,
    });
  });

  it("that die are replaced, and nobody is refused meanwhile", async () => {
    const { workers, events, apply } = start();
    await apply(serviceSpec({ backends: [await web("a")] }));
    const port = portOf(workers, "web");
    for (let round = 0; round < 3; round++) {
      const pids = serving(workers);
      // Both at once: clients wait in the kernel's queue until another is there.
      for (const pid of pids) process.kill(pid, "SIGKILL");
      await until(() => pids.every((pid) => !workers.workers().some((worker) => worker.pid === pid)), {
        what: "the end of both",
      });
      expect(await Promise.all(Array.from({ length: 10 }, () => get(port, false)))).toEqual(Array(10).fill("a"));
      await until(() => serving(workers).length === 2, { what: "two workers again", timeoutMs: 10_000 });
    }
    expect(events.filter(({ name }) => name === "worker.ended")).toHaveLength(6);
    expect(events.filter(({ name }) => name === "listener.bound")).toHaveLength(1);
  });

  it("that took over are replaced too, while the old ones still have clients", async () => {
    const { workers, apply } = start();
    await apply(serviceSpec({ name: "raw", mode: "tcp", backends: [await echo()] }));
    const port = portOf(workers, "raw");
    const old = streaming(port);
    await until(() => old.answers() > 3, { what: "the stream" });
    await workers.replaceAll();
    const fresh = serving(workers);
    for (const pid of fresh) process.kill(pid, "SIGKILL");
    const next = streaming(port);
    await until(() => next.answers() > 3, { what: "a stream through the next ones", timeoutMs: 10_000 });
    await until(() => serving(workers).length === 2, { what: "two workers again", timeoutMs: 10_000 });
    expect(serving(workers).some((pid) => fresh.includes(pid))).toBe(false);
    expect(await old.stop()).toEqual([]);
    expect(await next.stop()).toEqual([]);
  });

  it("share health that is found out once", async () => {
    const dead = backendSpec("dead", await closedPort());
    const { workers, events, apply } = start();
    const spec = serviceSpec({ mode: "http", backends: [dead, await web("a")] });
    await apply(spec);
    const port = portOf(workers, "web");
    const answers = await Promise.all(Array.from({ length: 40 }, () => get(port, false)));
    expect(new Set(answers)).toEqual(new Set(["a"]));
    await until(() => workers.status()[0]?.backends[0]?.usable === false, { what: "the dead one's ejection" });
    expect(events.filter(({ name }) => name === "backend.health")).toHaveLength(1);
    // New workers know it from the start.
    const failures = () => workers.status()[0]?.backends[0]?.counters.failures;
    await until(() => workers.status()[0]?.counters.requests === 40, { what: "40 counted requests" });
    const before = failures();
    await workers.replaceAll();
    await until(() => workers.workers().length === 2, { what: "the end of the retired", timeoutMs: 10_000 });
    await Promise.all(Array.from({ length: 20 }, () => get(port, false)));
    await until(() => workers.status()[0]?.counters.requests === 60, { what: "60 counted requests" });
    expect(failures()).toBe(before);
  });

  it("follow what is applied, and free an address that nobody wants any more", async () => {
    const { workers, events, apply } = start();
    const [a, b] = [await web("a"), await web("b")];
    const port = await closedPort();
    const listen = [{ host: "127.0.0.1", port }];
    await apply(serviceSpec({ listen, backends: [a] }));
    expect(await get(port, false)).toBe("a");
    await apply(serviceSpec({ listen, backends: [b] }));
    expect(await Promise.all(Array.from({ length: 8 }, () => get(port, false)))).toEqual(Array(8).fill("b"));
    expect(workers.setLocalState("web", "b", "maintenance")).toBe(true);
    await until(
      () =>
        get(port, false).then(
          () => false,
          (error: Error) => error.message === "status 503",
        ),
      {
        what: "503 from a service whose only backend is in maintenance",
      },
    );
    await apply();
    await until(
      () =>
        get(port, false).then(
          () => false,
          (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
        ),
      {
        what: "a free port",
      },
    );
    expect(events.map(({ name }) => name)).toContain("listener.closed");
  });

  it("say why an address cannot be had, and take it once it is free", async () => {
    const holder = createTcpServer();
    const port = await listenOn(holder, 0);
    const { workers, events, apply } = start();
    await apply(serviceSpec({ listen: [{ host: "127.0.0.1", port }], backends: [await web("a")] }));
    expect(workers.status()[0]?.listeners[0]).toMatchObject({ state: "failed" });
    expect(events.filter(({ name }) => name === "listener.failed")).toHaveLength(1);
    await new Promise((resolve) => holder.close(resolve));
    await until(() => workers.status()[0]?.listeners[0]?.state === "bound", {
      what: "the bound port",
      timeoutMs: 10_000,
    });
    expect(await get(port, false)).toBe("a");
  });

  it("stay when those that should replace them cannot start", async () => {
    let broken = false;
    const { workers, events, apply } = start({
      fork: () => {
        const made = forkWorker();
        if (broken) made.kill();
        return made;
      },
    });
    await apply(serviceSpec({ backends: [await web("a")] }));
    const before = serving(workers);
    broken = true;
    await workers.replaceAll();
    expect(serving(workers)).toEqual(before);
    expect(events.map(({ name }) => name)).toContain("workers.kept");
    expect(await get(portOf(workers, "web"), false)).toBe("a");
  });

  it("are replaced when they do not move any more", async () => {
    const { workers, apply } = start({ workers: 1, silentMs: 3_000 });
    await apply(serviceSpec({ backends: [await web("a")] }));
    const [pid = 0] = serving(workers);
    process.kill(pid, "SIGSTOP");
    await until(() => serving(workers).length === 1 && serving(workers)[0] !== pid, {
      what: "another worker",
      timeoutMs: 30_000,
    });
    expect(await get(portOf(workers, "web"), false)).toBe("a");
  });

  it("divide a backend's limit, so that it never has more, and use all of it", async () => {
    let [running, most] = [0, 0];
    const finish = new Set<() => void>();
    const server = createServer((_, response) => {
      most = Math.max(most, ++running);
      finish.add(() => {
        running--;
        response.end("done");
      });
    });
    const backends = [backendSpec("limited", await listening(server))];
    const { workers, apply } = start();
    await apply(serviceSpec({ backends, limits: { requestsMax: 3, queueMax: 100 } }));
    const asked = Array.from({ length: 20 }, () => get(portOf(workers, "web"), false));
    let answered = 0;
    for (const one of asked) one.then(() => answered++);
    const turn = (): boolean => {
      for (const end of finish) end();
      finish.clear();
      return answered === asked.length;
    };
    await until(() => running === 3, { what: "all of the limit is used" });
    await until(turn, { what: "all are answered" });
    expect(most).toBe(3);
    expect(workers.status()[0]?.backends[0]?.slots).toBe(3);
  });

  it("hear of what an agent says, also those that come later", async () => {
    const agent = createTcpServer((socket) => void socket.on("error", () => undefined).end("drain\n"));
    const port = await listening(agent);
    const { workers, apply } = start();
    const spec = { backends: [await web("drained")], agent: { port, intervalMs: 100, timeoutMs: 1_000 } };
    await apply(serviceSpec(spec));
    const isDrained = async (): Promise<boolean> => {
      const all = await Promise.all(Array.from({ length: 8 }, () => status(portOf(workers, "web"))));
      return all.every((code) => code === 503);
    };
    await until(isDrained, { what: "no worker sends it anything", timeoutMs: 10_000 });
    await workers.replaceAll();
    await until(isDrained, { what: "nor do those that replaced them", timeoutMs: 10_000 });
  });

  it("share clients that arrive in one burst", async () => {
    const { workers, apply } = start();
    await apply(serviceSpec({ name: "raw", mode: "tcp", backends: [await echo()] }));
    const port = portOf(workers, "raw");
    const streams = Array.from({ length: 60 }, () => streaming(port));
    await until(() => streams.every(({ answers }) => answers() > 5), { what: "all streams", timeoutMs: 10_000 });
    await until(() => workers.workers().reduce((sum, { clients }) => sum + clients, 0) === 60, { what: "the count" });
    const counts = workers.workers().map(({ clients }) => clients);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(20);
    expect((await Promise.all(streams.map(({ stop }) => stop()))).flat()).toEqual([]);
  });
});

// The same limits and checks given to HAProxy and to us: who has how many at once, who waits for whom, and who is out.
import { createServer, request, type Server, type ServerResponse } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import {
  type BackendSpec,
  DEFAULT_CHECK,
  DEFAULT_HASH,
  DEFAULT_TIMEOUTS,
  type ServiceSpec,
} from "../../packages/proxy/src/snapshot.ts";
import { backendSpec, listenOn, startBench } from "../../packages/proxy/src/testing/bench.ts";
import { startHaProxy } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Servers that answer when they are told to, and remember who asked whom in which order. */
interface Holders {
  readonly ports: readonly number[];
  /** `path at server`, as they came. */
  readonly came: readonly string[];
  /** How many each has now. */
  counts(): readonly number[];
  /** Answers the oldest that this server has. */
  release(server: number): void;
}

async function holders(count: number): Promise<Holders> {
  const came: string[] = [];
  const held: ServerResponse[][] = [];
  const ports: number[] = [];
  for (let n = 0; n < count; n++) {
    const mine: ServerResponse[] = [];
    held.push(mine);
    const server = createServer((incoming, response) => {
      came.push(`${incoming.url} at b${n}`);
      mine.push(response);
    });
    ports.push(await listening(server));
  }
  return {
    ports,
    came,
    counts: () => held.map(({ length }) => length),
    release: (n) => void held[n]?.shift()?.end(`b${n}`),
  };
}

async function listening(server: Server): Promise<number> {
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return listenOn(server, 0);
}

function ask(port: number, path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, path, headers, host: "127.0.0.1", agent: false, timeout: 20_000 }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
      response.once("error", reject);
    });
    asking.on("timeout", () => asking.destroy(new Error("no answer within 20 s")));
    asking.on("error", reject);
    asking.end();
  });
}

interface Config {
  /** Lines of the proxy, and words of each server. */
  readonly haproxy: readonly string[];
  readonly servers: readonly string[];
  readonly ours: Partial<ServiceSpec>;
  readonly backends: readonly Partial<BackendSpec>[];
}

/** A proxy that is up. */
interface Running {
  readonly port: number;
  /** How many requests wait for room. */
  waiting(): Promise<number>;
  /** Who is taken for usable, by server. */
  usable(): Promise<readonly boolean[]>;
  /** Is the first server in, and with which weight? */
  shown(): Promise<string>;
}

async function haproxyFor({ haproxy, servers }: Config, ports: readonly number[]): Promise<Running> {
  const [port, statsPort] = [await freePort(), await freePort()];
  const config = [
    "global\n  nbthread 1",
    "defaults\n  mode http\n  timeout connect 2s\n  timeout client 20s\n  timeout server 20s\n  timeout queue 20s",
    `listen stats\n  bind 127.0.0.1:${statsPort}\n  stats enable\n  stats uri /`,
    ["listen web", `bind 127.0.0.1:${port}`, ...haproxy].join("\n  "),
    ...servers.map((words, n) => `  server b${n} 127.0.0.1:${ports[n]} id ${n + 1} ${words}`),
  ];
  const started = await startHaProxy(config.join("\n"), port);
  closers.push(started.stop);
  const rows = async (): Promise<string[][]> => {
    const text = await (await fetch(`http://127.0.0.1:${statsPort}/;csv`)).text();
    return text.split("\n").flatMap((line) => (line.startsWith("web,") ? [line.split(",")] : []));
  };
  return {
    port,
    // Of the servers' queues, and of that for any of them.
    waiting: async () => (await rows()).reduce((sum, [, , queued]) => sum + Number(queued), 0),
    usable: async () =>
      (await rows()).flatMap((row) => (row[1]?.startsWith("b") ? [/^(UP|no check)/.test(row[17] ?? "")] : [])),
    async shown() {
      const [, , , , , , , , , , , , , , , , , state, weight] = (await rows()).find((row) => row[1] === "b0") ?? [];
      return /^(UP|no check)/.test(state ?? "") && Number(weight) > 0 ? `in ${weight}` : "out";
    },
  };
}

async function oursFor({ ours, backends }: Config, ports: readonly number[]): Promise<Running> {
  const specs = backends.map((more, n) => backendSpec(`b${n}`, ports[n] as number, { id: n + 1, ...more }));
  const timeouts = { ...DEFAULT_TIMEOUTS, queueMs: 20_000 };
  const bench = await startBench({ timeouts, ...ours, backends: specs });
  closers.push(bench.close);
  const status = () => bench.proxy.status()[0];
  return {
    port: bench.port(),
    waiting: async () => status()?.counters.waiting ?? 0,
    usable: async () => status()?.backends.map((backend) => backend.usable) ?? [],
    async shown() {
      const first = status()?.backends[0];
      return first?.usable === true ? `in ${first.effectiveWeight}` : "out";
    },
  };
}

const PROXIES = { haproxy: haproxyFor, ours: oursFor } as const;

/** By server, from the one with the most: with equals, who is first is each proxy's own affair. */
const anyOrder = (counts: readonly number[]): readonly number[] => counts.toSorted((a, b) => b - a);

interface LimitCase extends Config {
  readonly name: string;
  /** What the servers may have in all. */
  readonly room: number;
  /** Is it the same for each server, or only up to their order? */
  readonly exact: boolean;
  readonly headers?: Record<string, string>;
}

const REQUESTS = 9;
const words = (maxconns: readonly number[]): string[] => maxconns.map((max) => (max === 0 ? "" : `maxconn ${max}`));
const slots = (maxconns: readonly number[]): Partial<BackendSpec>[] =>
  maxconns.map((max) => (max === 0 ? {} : { slots: max }));
const limited = (line: string, ours: Partial<ServiceSpec>, maxconns: readonly number[], exact = false): LimitCase => ({
  name: `${line}, maxconn ${maxconns.join(":")}`,
  haproxy: [`balance ${line}`],
  servers: words(maxconns),
  ours,
  backends: slots(maxconns),
  room: maxconns.includes(0) ? REQUESTS : maxconns.reduce((sum, max) => sum + max, 0),
  exact,
});
const byHeader = { balance: "header", hash: { ...DEFAULT_HASH, points: 16, name: "x-user" } } as const;

const LIMITS: readonly LimitCase[] = [
  limited("roundrobin", {}, [1, 1, 1]),
  limited("roundrobin", {}, [2, 2]),
  limited("roundrobin", {}, [3, 1, 1]),
  limited("roundrobin", {}, [0, 1]),
  limited("leastconn", { balance: "least_conn" }, [2, 2, 2]),
  limited("leastconn", { balance: "least_conn" }, [1, 4]),
  limited("first", { balance: "first" }, [2, 3, 1], true),
  {
    ...limited("roundrobin", {}, [1, 1, 5]),
    name: "roundrobin, a backup does not stand in for who is full",
    servers: ["maxconn 1", "maxconn 1", "maxconn 5 backup"],
    backends: [{ slots: 1 }, { slots: 1 }, { slots: 5, backup: true }],
    room: 2,
  },
  {
    ...limited("hdr(X-User)", byHeader, [2, 2, 2], true),
    name: "hdr(X-User), each waits for its own",
    haproxy: ["balance hdr(X-User)", "hash-type consistent"],
    headers: { "X-User": "user 7919" },
    room: 2,
  },
];

/** How the requests of a case are taken up, one after the other, and then in which order those that wait. */
async function story(each: LimitCase, proxy: keyof typeof PROXIES) {
  const servers = await holders(each.servers.length);
  const { port, waiting } = await PROXIES[proxy](each, servers.ports);
  const counts: (readonly number[])[] = [];
  const asked: Promise<number>[] = [];
  for (let n = 0; n < REQUESTS; n++) {
    asked.push(ask(port, `/${n}`, each.headers));
    const what = `${proxy} has taken request ${n}`;
    await until(() => servers.came.length === Math.min(n + 1, each.room), { what });
    await until(async () => (await waiting()) === Math.max(0, n + 1 - each.room), { what });
    counts.push(each.exact ? servers.counts() : anyOrder(servers.counts()));
  }
  for (let left = REQUESTS; left > 0; left--) {
    const { length: came } = servers.came;
    servers.release(servers.counts().findIndex((count) => count > 0));
    if (came < REQUESTS) await until(() => servers.came.length > came, { what: `${proxy} has passed on the next` });
  }
  const order = servers.came.slice(each.room).map((line) => line.split(" ")[0]);
  return { counts, order, statuses: await Promise.all(asked) };
}

describe("limits are as HAProxy has them", () => {
  it.each(LIMITS.map((each) => [each.name, each] as const))("%s", async (_, each) => {
    const [theirs, mine] = [await story(each, "haproxy"), await story(each, "ours")];
    expect(mine).toEqual(theirs);
    // Of HAProxy, so that the two cannot agree on nothing.
    expect(theirs.counts.at(-1)?.reduce((sum, count) => sum + count, 0)).toBe(each.room);
    expect(theirs.statuses).toEqual(theirs.statuses.map(() => 200));
  });

  it("who waited too long gets 503", async () => {
    const [haproxy, ours] = [limited("roundrobin", {}, [1]), limited("roundrobin", {}, [1])];
    const timeouts = { ...DEFAULT_TIMEOUTS, queueMs: 200 };
    const cases = {
      haproxy: { ...haproxy, haproxy: ["balance roundrobin", "timeout queue 200ms"] },
      ours: { ...ours, ours: { timeouts } },
    };
    for (const proxy of ["haproxy", "ours"] as const) {
      const servers = await holders(1);
      const { port } = await PROXIES[proxy](cases[proxy], servers.ports);
      const first = ask(port, "/first");
      await until(() => servers.came.length === 1, { what: "the first is held" });
      expect([proxy, await ask(port, "/second")]).toEqual([proxy, 503]);
      servers.release(0);
      expect([proxy, await first]).toEqual([proxy, 200]);
    }
  });
});

interface CheckCase {
  readonly name: string;
  readonly haproxy: readonly string[];
  readonly words: string;
  readonly check: Partial<ServiceSpec["check"]>;
  readonly usable: readonly boolean[];
}

const always = { when: "always", intervalMs: 100, rise: 2, fall: 2 } as const;
const http = { ...always, type: "http" } as const;

/** Of three servers one is well, one answers 500 and "bad" to whatever, and at the last one's port nothing listens. */
const CHECKS: readonly CheckCase[] = [
  { name: "tcp", haproxy: [], words: "check inter 100 fall 2 rise 2", check: always, usable: [true, true, false] },
  {
    name: "http, any status from 200 to 399",
    haproxy: ["option httpchk GET /health"],
    words: "check inter 100 fall 2 rise 2",
    check: { ...http, path: "/health" },
    usable: [true, false, false],
  },
  {
    name: "http, another status expected",
    haproxy: ["option httpchk GET /health", "http-check expect status 500"],
    words: "check inter 100 fall 2 rise 2",
    check: { ...http, path: "/health", status: [[500, 500]] },
    usable: [false, true, false],
  },
  {
    name: "http, a text expected",
    haproxy: ["option httpchk GET /health", "http-check expect string good"],
    words: "check inter 100 fall 2 rise 2",
    check: { ...http, path: "/health", expect: "good" },
    usable: [true, false, false],
  },
  {
    name: "http, by another method",
    haproxy: ["option httpchk OPTIONS /health"],
    words: "check inter 100 fall 2 rise 2",
    check: { ...http, path: "/health", method: "OPTIONS" },
    usable: [false, false, false],
  },
];

/** What an agent says one after the other, and what that makes of a server of weight 100. */
const SAYINGS: readonly (readonly [string, string])[] = [
  ["50%", "in 50"],
  ["maxconn:7", "in 50"],
  ["drain", "out"],
  ["ready", "in 50"],
  ["down # of its own will", "out"],
  ["100%", "out"],
  ["up", "in 100"],
  ["maint", "out"],
  ["ready, up 25%", "in 25"],
  ["0%", "out"],
  ["stopped 75%", "out"],
  ["up", "in 75"],
];

it("agents are heard as HAProxy hears them", async () => {
  let line = "up";
  const server = createServer((_request, response) => response.end("ok"));
  const ports = [await listening(server)];
  const running: { readonly shown: Running["shown"]; asked(): number }[] = [];
  for (const proxy of Object.values(PROXIES)) {
    let asked = 0;
    const agent = createTcpServer((socket) => {
      asked++;
      socket.on("error", () => undefined).end(`${line}\n`);
    });
    closers.push(() => new Promise((resolve) => agent.close(resolve)));
    const port = await listenOn(agent, 0);
    const config: Config = {
      haproxy: ["balance roundrobin"],
      servers: [`weight 100 agent-check agent-port ${port} agent-inter 100`],
      ours: { agent: { port, intervalMs: 100, timeoutMs: 1_000 } },
      backends: [{ weight: 100 }],
    };
    running.push({ shown: (await proxy(config, ports)).shown, asked: () => asked });
  }
  for (const [saying, expected] of SAYINGS) {
    line = saying;
    for (const { shown, asked } of running) {
      const before = asked();
      // One that was asked before the line changed may still be heard.
      await until(() => asked() > before + 1, { what: `the agent is asked for ${saying}`, timeoutMs: 10_000 });
      await until(async () => (await shown()) === expected, { what: `${expected} after ${saying}`, timeoutMs: 10_000 });
    }
  }
});

describe("checks find as HAProxy's do", () => {
  it.each(CHECKS.map((each) => [each.name, each] as const))("%s", async (_, each) => {
    const good = createServer((incoming, response) => {
      response.statusCode = incoming.method === "GET" ? 200 : 405;
      response.end(incoming.url === "/health" ? "all is good" : "other");
    });
    const bad = createServer((_request, response) => response.writeHead(500).end("bad"));
    const ports = [await listening(good), await listening(bad), await freePort()];
    const config: Config = {
      haproxy: ["balance roundrobin", ...each.haproxy],
      servers: ports.map(() => each.words),
      ours: { check: { ...DEFAULT_CHECK, ...each.check } },
      backends: ports.map(() => ({})),
    };
    for (const proxy of ["haproxy", "ours"] as const) {
      const { usable } = await PROXIES[proxy](config, ports);
      const what = `${proxy} finds ${each.usable.join()}`;
      await until(async () => (await usable()).join() === each.usable.join(), { what });
    }
  });
});

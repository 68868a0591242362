import { execFileSync } from "node:child_process";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Clock,
  type ContainerStatus,
  eventBus,
  NO_SERVICE_COUNTERS,
  type ServiceStatus,
  StackError,
  type StackEvent,
  systemClock,
} from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Admin, type AdminOptions, createAdmin } from "./admin.ts";
import type { AdminSources } from "./sources.ts";

const WEB: ServiceStatus = {
  name: "web",
  mode: "http",
  listeners: [{ address: "127.0.0.1:3000", state: "bound" }],
  backends: [
    {
      id: "0123456789ab-80",
      address: "10.0.0.1:80",
      weight: 1,
      effectiveWeight: 1,
      state: "up",
      suspect: false,
      health: "unchecked",
      usable: true,
      reason: "up",
      sinceMs: 1,
      container: "0123456789ab",
      counters: {
        active: 1,
        connections: 2,
        requests: 30,
        failures: 4,
        ejections: 0,
        retries: 5,
        bytesIn: 600,
        bytesOut: 700,
      },
    },
  ],
  problems: [],
  counters: {
    ...NO_SERVICE_COUNTERS,
    activeClients: 1,
    connections: 2,
    requests: 30,
    responses: [0, 0, 25, 0, 3, 2],
    noBackend: 1,
    retries: 5,
  },
};

const CONTAINERS: readonly ContainerStatus[] = [
  {
    id: "0123456789ab".padEnd(64, "0"),
    name: "shop_web_1",
    running: true,
    registrations: [
      {
        service: "web",
        id: "0123456789ab-80",
        address: "10.0.0.1:80",
        namedBy: "label smartstack.service=web",
        addressReason: "the container's own address",
        otherAddresses: ["published as 32768: not needed"],
        check: "tcp",
        health: "up",
        state: "up",
        announced: true,
        reason: "connected",
        sinceMs: 1,
      },
    ],
    asks: ["web"],
    refusals: [],
    warnings: [],
  },
  {
    id: "01234567ffff".padEnd(64, "0"),
    name: "shop_web_2",
    running: true,
    registrations: [
      {
        service: "web",
        id: "01234567ffff-80",
        address: "10.0.0.2:80",
        namedBy: "label smartstack.service=web",
        addressReason: "the container's own address",
        otherAddresses: ["published as 32768: not needed"],
        check: "tcp",
        health: "down",
        state: "up",
        announced: false,
        reason: "connection refused",
        sinceMs: 1,
      },
    ],
    asks: ["web"],
    refusals: [],
    warnings: [],
  },
];

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
  readonly headers: IncomingMessage["headers"];
}

let admin: Admin;
let ready: boolean;
let changes: unknown[];
let seen: StackEvent[];
const events = eventBus();

const sources: AdminSources = {
  status: () => ({
    role: "up",
    version: "1.2.3",
    node: "n1",
    startedMs: 5_000,
    registries: [],
    readiness: [],
    unseen: [],
  }),
  readiness: (service) => [{ part: service ?? "registry", ready, reason: "because" }],
  services: () => [WEB],
  containers: () => CONTAINERS,
  setState(...change) {
    changes.push(change);
    if (change[0] === "fenced")
      throw new StackError("REGISTRY_FENCED", "node n1 was taken over", { side: "registry", retry: "never" });
    return change[0] === "web";
  },
  config: () => ({ admin: { token: "***" } }),
};

beforeEach(() => {
  ready = true;
  changes = [];
  seen = [];
});
afterEach(() => admin.close());
events.subscribe((event) => seen.push(event));

async function begin(more: Partial<AdminOptions> = {}): Promise<void> {
  admin = createAdmin({ listen: "127.0.0.1:0", sources, events, clock: systemClock, ...more });
  await admin.start();
}

function port(): number {
  return Number(admin.address()?.split(":").at(-1));
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly socketPath?: string;
}

function ask(path: string, { method = "GET", headers = {}, body, socketPath }: Ask = {}): Promise<Reply> {
  const where = socketPath === undefined ? { host: "127.0.0.1", port: port() } : { socketPath };
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...where, path, method, headers, agent: false }, async (response) => {
      let text = "";
      for await (const chunk of response) text += String(chunk);
      let json: unknown;
      try {
        json = JSON.parse(text);
      } catch {
        json = undefined;
      }
      resolve({ status: response.statusCode ?? 0, text, json, headers: response.headers });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const STATE = "/api/v1/services/web/instances/0123456789ab-80/state";
const DRAIN = JSON.stringify({ state: "draining" });

describe("reading", () => {
  it.each([
    ["/healthz", { status: "ok" }],
    ["/readyz", { ready: true, parts: [{ part: "registry", ready: true, reason: "because" }] }],
    ["/readyz?service=web", { ready: true, parts: [{ part: "web", ready: true, reason: "because" }] }],
    [
      "/api/v1/status",
      { role: "up", version: "1.2.3", node: "n1", startedMs: 5_000, registries: [], readiness: [], unseen: [] },
    ],
    ["/api/v1/services", { services: [WEB] }],
    ["/api/v1/services/web", WEB],
    ["/api/v1/containers", { containers: CONTAINERS }],
    ["/api/v1/config", { admin: { token: "***" } }],
  ])("GET %s", async (path, expected) => {
    await begin();
    const reply = await ask(path);
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual(expected);
    expect(reply.headers["cache-control"]).toBe("no-store");
  });

  it("is not ready with a reason", async () => {
    await begin();
    ready = false;
    const reply = await ask("/readyz");
    expect(reply.status).toBe(503);
    expect(reply.json).toEqual({ ready: false, parts: [{ part: "registry", ready: false, reason: "because" }] });
  });

  it.each([
    ["/", 404, "no such path"],
    ["/api/v1/services/nope", 404, "no service nope"],
    ["/api/v1/services/%zz", 400, "broken percent sequence"],
    ["/api/v1/explain", 400, "say whom"],
    ["//evil.example/healthz", 404, "no such path"],
    ["/healthz/", 404, "no such path"],
  ])("GET %s is %i", async (path, status, reason) => {
    await begin();
    const reply = await ask(path);
    expect(reply.status).toBe(status);
    expect(reply.json).toEqual({ error: expect.stringContaining(reason) });
  });

  it("says which methods a path knows", async () => {
    await begin();
    const reply = await ask("/healthz", { method: "DELETE" });
    expect([reply.status, reply.headers.allow]).toEqual([405, "GET"]);
    expect((await ask(STATE)).status).toBe(405);
    expect(await ask("/healthz", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  it("refuses foreign Host headers", async () => {
    await begin();
    expect((await ask("/healthz", { headers: { host: "evil.example" } })).status).toBe(403);
    expect((await ask("/healthz", { headers: { host: "localhost:1" } })).status).toBe(200);
  });

  it("answers 500 with the reason when a source fails, and lives on", async () => {
    const services = (): never => {
      throw new Error("broken source");
    };
    await begin({ sources: { ...sources, services } });
    const reply = await ask("/api/v1/services");
    expect([reply.status, reply.json]).toEqual([500, { error: "internal error: broken source" }]);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it.each([
    ["shop_web_1", 200, "offers web as 0123456789ab-80"],
    ["web", 200, "service web (http)"],
    ["nope", 404, "nothing here is called nope"],
  ])("explains %s", async (name, status, line) => {
    await begin();
    const reply = await ask(`/api/v1/explain?name=${name}`);
    expect(reply.status).toBe(status);
    expect((reply.json as { lines: string[] }).lines.join("\n")).toContain(line);
  });
});

describe("metrics", () => {
  it("shows counters as the sources have them, however often they are read", async () => {
    await begin();
    events.publish("view.applied", { revision: 7, services: 1, backends: 1 });
    events.publish("docker.connected", { engine: "e" });
    events.publish("registry.document_rejected", { service: "web", id: "i", reason: "r" });
    events.publish("docker.drift", { container: "web", what: "is exited, was taken for running" });
    await ask("/metrics");
    const { text, headers } = await ask("/metrics");
    expect(headers["content-type"]).toContain("text/plain; version=0.0.4");
    for (const line of [
      'smartstack_service_responses_total{service="web",class="2xx"} 25',
      'smartstack_backend_requests_total{service="web",backend="0123456789ab-80"} 30',
      'smartstack_backend_usable{service="web",backend="0123456789ab-80"} 1',
      "smartstack_view_revision 7",
      "smartstack_docker_connected 1",
      "smartstack_docker_drift_total 1",
      "smartstack_registry_documents_rejected_total 1",
      "smartstack_instances_announced 1",
      "smartstack_start_time_seconds 5",
    ])
      expect(text.split("\n")).toContain(line);
    expect(text).toContain("process_cpu_seconds_total");
  });

  it("shows of each registry how fresh it is and what was done, in base units", async () => {
    const counters = { loads: 2, batches: 40, writes: 7, writeFailures: 1 };
    const etcd = { type: "etcd", target: "e:2379/x", connected: true, sinceMs: 5, ttlMs: 10_000, counters };
    const registries = [
      { ...etcd, stalenessMs: 1_500, revision: 77 },
      { ...etcd, type: "zookeeper", connected: false },
    ];
    const status = () => ({ ...sources.status(), registries });
    await begin({ sources: { ...sources, status } });
    await ask("/metrics");
    const { text } = await ask("/metrics");
    const shown = text.split("\n").filter((line) => line.startsWith("smartstack_registry_") && line.includes("{"));
    const of = (type: string, values: Readonly<Record<string, number>>): string[] =>
      Object.entries(values).map(
        ([name, value]) => `smartstack_registry_${name}{type="${type}",target="e:2379/x"} ${value}`,
      );
    const common = {
      ttl_seconds: 10,
      loads_total: 2,
      watch_batches_total: 40,
      writes_total: 7,
      write_failures_total: 1,
    };
    expect(shown.sort()).toEqual(
      [
        ...of("etcd", { ...common, connected: 1, staleness_seconds: 1.5, revision: 77 }),
        ...of("zookeeper", { ...common, connected: 0 }),
      ].sort(),
    );
  });

  it("does not show Docker as away where nobody watches it", async () => {
    await begin();
    expect((await ask("/metrics")).text).not.toContain("docker_connected");
    events.publish("docker.disconnected", { engine: "e", reason: "no socket" });
    expect((await ask("/metrics")).text).toContain("smartstack_docker_connected 0");
  });

  it("forgets backends that are gone", async () => {
    let services: readonly ServiceStatus[] = [WEB];
    await begin({ sources: { ...sources, services: () => services } });
    await ask("/metrics");
    services = [];
    expect((await ask("/metrics")).text).not.toContain('service="web"');
  });
});

describe("changing", () => {
  const put = (path: string, body: string, headers: Record<string, string> = {}): Promise<Reply> =>
    ask(path, { method: "PUT", body, headers });
  const allowed = { authorization: "Bearer secret" };

  it("is off over TCP without a token, and says what to do", async () => {
    await begin();
    const reply = await put(STATE, DRAIN, allowed);
    expect(reply.status).toBe(403);
    expect(reply.json).toEqual({ error: "changes are off: set admin.token or use a unix socket" });
    expect(changes).toEqual([]);
  });

  it("needs the token", async () => {
    await begin({ token: "secret" });
    expect((await put(STATE, DRAIN)).status).toBe(401);
    expect((await put(STATE, DRAIN, { authorization: "Bearer guess" })).status).toBe(403);
    expect(changes).toEqual([]);
    const reply = await put(STATE, JSON.stringify({ state: "draining", for: "5m" }), allowed);
    expect(reply.json).toEqual({ service: "web", instances: ["0123456789ab-80"], state: "draining", for_seconds: 300 });
    expect(changes).toEqual([["web", "0123456789ab-80", "draining", 300_000]]);
  });

  it.each([
    ["shop_web_1", "0123456789ab-80"],
    ["0123456789", "0123456789ab-80"],
    ["01234567ffff000000", "01234567ffff-80"],
    ["something-else", "something-else"],
  ])("takes %s for %s", async (word, id) => {
    await begin({ token: "secret" });
    const reply = await put(`/api/v1/services/web/instances/${word}/state`, DRAIN, allowed);
    expect(reply.status).toBe(200);
    expect(changes).toEqual([["web", id, "draining", undefined]]);
  });

  it("refuses a prefix that fits several containers", async () => {
    await begin({ token: "secret" });
    const reply = await put("/api/v1/services/web/instances/01234567/state", DRAIN, allowed);
    expect([reply.status, changes]).toEqual([409, []]);
    expect(reply.text).toContain("0123456789ab, 01234567ffff");
  });

  it.each([
    ["not json", "{", 400],
    ["no object", "[]", 400],
    ["no state", "{}", 400],
    ["a wrong state", '{"state":"down"}', 400],
    ["an unknown key", '{"state":"up","four":"5m"}', 400],
    ["a wrong time", '{"state":"up","for":"soon"}', 400],
    ["no time at all", '{"state":"up","for":0}', 400],
    ["too long a body", JSON.stringify({ state: "up", for: "x".repeat(17_000) }), 413],
  ])("refuses %s", async (_, body, status) => {
    await begin({ token: "secret" });
    expect((await put(STATE, body, allowed)).status).toBe(status);
    expect(changes).toEqual([]);
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("is 404 where there is no such instance", async () => {
    await begin({ token: "secret" });
    expect((await put("/api/v1/services/nope/instances/x/state", DRAIN, allowed)).status).toBe(404);
    const fenced = await put("/api/v1/services/fenced/instances/x/state", DRAIN, allowed);
    expect([fenced.status, JSON.stringify(fenced.json)]).toEqual([
      409,
      expect.stringContaining("node n1 was taken over"),
    ]);
  });
});

describe("unix socket", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "admin-"));
    path = join(folder, "admin.sock");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("is private, needs no token, and is removed at the end", async () => {
    await begin({ listen: `unix:${path}` });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const reply = await ask(STATE, { method: "PUT", body: DRAIN, socketPath: path });
    expect(reply.status).toBe(200);
    await admin.close();
    await expect(stat(path)).rejects.toThrow("ENOENT");
  });

  it("replaces what a killed process left behind", async () => {
    const leave = `const s = require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    expect(() => execFileSync(process.execPath, ["-e", leave], { stdio: "ignore" })).toThrow();
    expect((await stat(path)).isSocket()).toBe(true);
    await begin({ listen: `unix:${path}` });
    expect((await ask("/healthz", { socketPath: path })).status).toBe(200);
  });

  it("leaves other files and live sockets alone", async () => {
    await writeFile(path, "precious");
    await begin({ listen: `unix:${path}` });
    expect(seen.at(-1)).toMatchObject({ name: "admin.failed", data: { reason: expect.stringContaining("no socket") } });
    expect((await stat(path)).size).toBe(8);
  });
});

describe("life", () => {
  it("goes on without a taken port, says so once, and takes it when it is free", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port: number } = taken.address() as { port: number };
    let waits = 0;
    const after: Clock["after"] = (...wait) => {
      waits++;
      return systemClock.after(...wait);
    };
    await begin({ listen: `127.0.0.1:${number}`, clock: { ...systemClock, after } });
    expect(admin.address()).toBeUndefined();
    await until(() => waits >= 3, { what: "three attempts" });
    expect(seen.map(({ name }) => name)).toEqual(["admin.failed"]);
    await new Promise<void>((resolve) => taken.close(() => resolve()));
    await until(() => admin.address() === `127.0.0.1:${number}`, { what: "the port to be taken over" });
    expect((await ask("/healthz")).status).toBe(200);
  });

  it("refuses an address it cannot read", () => {
    expect(() => createAdmin({ listen: "nowhere", sources, events, clock: systemClock })).toThrow("admin.listen");
  });

  it("closes within a second with clients that do nothing or listen", async () => {
    await begin();
    const idle = await idleSocket();
    const stream = await openStream();
    const startedMs = performance.now();
    await Promise.all([admin.close(), admin.close()]);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await until(() => idle.destroyed && stream.response.destroyed, { what: "both sockets closed" });
  });

  it("streams events as they happen", async () => {
    await begin();
    const stream = await openStream();
    events.publish("service.discovered", { service: "web" });
    await until(() => stream.text().includes("service.discovered"), { what: "the event" });
    const data = JSON.parse(/^data: (.*)$/m.exec(stream.text())?.[1] ?? "");
    expect(data).toEqual({ at: expect.any(Number), name: "service.discovered", data: { service: "web" } });
  });

  it("cuts a stream off whose client does not read, and serves others", async () => {
    await begin();
    const stuck = await openStream();
    stuck.response.pause();
    stuck.response.socket.pause();
    const good = await openStream();
    const reason = "x".repeat(64_000);
    // More than the kernel's buffers hold for the one that does not read.
    for (let at = 0; at < 250; at++) {
      events.publish("config.rejected", { file: `f${at}.`, reason });
      await until(() => good.text().includes(`"f${at}."`), { what: `event ${at} at the good client`, everyMs: 1 });
    }
    stuck.response.socket.resume();
    stuck.response.resume();
    await until(() => stuck.response.destroyed || stuck.response.socket.destroyed, {
      what: "the stuck client cut off",
    });
  });

  it("survives garbage", async () => {
    await begin();
    const socket = await idleSocket();
    socket.write("\u0000\u0001garbage\r\n\r\n");
    await until(() => socket.destroyed, { what: "the garbage to be refused" });
    expect((await ask("/healthz")).status).toBe(200);
  });
});

async function idleSocket(): Promise<Socket> {
  const socket = connect(port(), "127.0.0.1");
  socket.on("error", () => socket.destroy());
  socket.on("end", () => socket.destroy());
  socket.resume();
  await new Promise<void>((resolve) => socket.once("connect", resolve));
  return socket;
}

function openStream(): Promise<{ response: IncomingMessage; text: () => string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port: port(), path: "/api/v1/events", agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text = (text + String(chunk)).slice(-100_000);
      });
      response.on("error", () => response.destroy());
      response.on("end", () => response.destroy());
      resolve({ response, text: () => text });
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

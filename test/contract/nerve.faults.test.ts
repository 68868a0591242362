import { createServer as createHttpServer } from "node:http";
import { createServer, type Server } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DockerDouble, startDockerDouble } from "../support/docker-double.ts";
import { timed } from "../support/pauses.ts";
import { type NerveRun, type NerveRunOptions, runNerve } from "./nerve-harness.ts";

let docker: DockerDouble;
let backend: Server;
let port: number;
let runs: NerveRun[];

beforeEach(async () => {
  runs = [];
  docker = await startDockerDouble();
  backend = createServer((socket) => socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  port = (backend.address() as { port: number }).port;
});
afterEach(async () => {
  await Promise.all(runs.map((run) => run.stop()));
  await docker.close();
  await new Promise((resolve) => backend.close(resolve));
});

// The double's containers are on the loopback, which counts as unreachable: so nothing is probed.
const LABELS = { "smartstack.service": "web", "smartstack.check": "none" };

function start(options: Partial<NerveRunOptions> = {}): NerveRun {
  const run = runNerve({ host: docker.host, nerve: { reconcile: 1 }, ...options });
  runs.push(run);
  return run;
}

const count = (run: NerveRun, name: string): number => run.events.filter((event) => event.name === name).length;
const isReady = (run: NerveRun): boolean => run.nerve.readiness().every((part) => part.ready);
const inspects = (id: string): number => docker.requests.filter((line) => line === `GET /containers/${id}/json`).length;

describe("the event stream", () => {
  test.each(["end", "destroy"] as const)(
    "breaks (%s): subscribed again, what happened meanwhile is seen, told once each way",
    async (how) => {
      const stays = docker.add({ labels: LABELS, port });
      const goes = docker.add({ labels: LABELS, port });
      const run = start({ nerve: { reconcile: "1h" } });
      await run.offered("web", 2);
      docker.mute(true);
      docker.stop(goes.id);
      docker.add({ labels: { ...LABELS, "smartstack.service": "late" }, port });
      docker.mute(false);
      docker.endStreams(how);
      await run.offered("late", 1);
      expect((await run.offered("web", 1))[0]?.id).toBe(`${stays.id.slice(0, 12)}-${port}`);
      await until(() => isReady(run), { what: "ready again" });
      expect([count(run, "docker.disconnected"), count(run, "docker.connected")]).toEqual([1, 2]);
    },
  );

  test("E4 is silent: the next comparison finds what it lost, counts it, and the stream is subscribed anew", async () => {
    const goes = docker.add({ labels: LABELS, port });
    const streams = (): number => docker.requests.filter((line) => line.includes("/events")).length;
    const run = start();
    await run.offered("web", 1);
    docker.mute(true);
    docker.stop(goes.id);
    docker.add({ labels: { ...LABELS, "smartstack.service": "late" }, port });
    await run.offered("web", 0, 5_000);
    await run.offered("late", 1);
    await until(() => count(run, "docker.drift") === 1, { what: "one drift" });
    docker.mute(false);
    await until(() => streams() === 2, { what: "a second stream" });
    await until(() => isReady(run), { what: "ready again" });
    expect(run.events.find(({ name }) => name === "docker.disconnected")).toMatchObject({
      data: { reason: expect.stringMatching(/events were lost: .* no event said so/) },
    });
  });

  test("E4 loses a restart that gave the container another port: found by the next comparison", async () => {
    const web = docker.add({ labels: LABELS, port: 80, published: 32_768 });
    const run = start({ shared: true, docker: { advertise: "10.9.8.7" } });
    expect((await run.offered("web", 1))[0]?.port).toBe(32_768);
    docker.mute(true);
    docker.restart(web.id, 32_769);
    await until(() => [...run.entries().values()][0]?.port === 32_769, { what: "the new port", timeoutMs: 5_000 });
    await until(() => count(run, "docker.drift") === 1, { what: "one drift" });
  });

  test("E4 loses a restart that changed nothing but the run: who uses its network has lost it", async () => {
    const host = docker.add({ labels: {}, port });
    const user = docker.add({ labels: LABELS, port, networkMode: `container:${host.id}` });
    const run = start();
    await run.offered("web", 1);
    // An age told in whole seconds tells two runs apart only when the first was known for longer than that.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    docker.mute(true);
    docker.restart(host.id);
    await run.offered("web", 0, 10_000);
    expect(run.status(user.id)?.refusals[0]).toMatch(/was restarted after it/);
  });

  test("brings rubbish between its events: the events count", async () => {
    const run = start({ nerve: { reconcile: "1h" } });
    await until(() => isReady(run), { what: "ready" });
    docker.send('\n\n{"Type":"container","Action":\n[1,2]\nnull\n');
    docker.add({ labels: LABELS, port });
    await run.offered("web", 1);
    expect(count(run, "docker.disconnected")).toBe(0);
  });

  test("is asked for what changes reachability, by the engine's own filter, and never for exec", async () => {
    const run = start();
    await until(() => isReady(run), { what: "ready" });
    const asked = docker.requests.find((line) => line.includes("/events")) ?? "";
    const filters = JSON.parse(/filters=(.*)$/.exec(asked)?.[1] ?? "{}") as Record<string, string[]>;
    expect(filters.type).toEqual(["container", "network"]);
    expect(filters.event).toEqual(expect.arrayContaining(["start", "die", "kill", "health_status", "disconnect"]));
    expect(asked).not.toMatch(/exec/);
    expect(docker.requests.filter((line) => !line.startsWith("GET "))).toEqual([]);
  });
});

describe("a failed answer removes nothing", () => {
  test.each(["500", "half", "reset", "nonsense"] as const)("E9 list: %s", async (fault) => {
    docker.add({ labels: LABELS, port });
    const run = start();
    await run.offered("web", 1);
    docker.faults.set("list", fault);
    await until(() => run.nerve.readiness().some((part) => part.part === "docker" && !part.ready), { what: "away" });
    const before = docker.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(run.entries().size).toBe(1);
    // Backed off: an attempt is three requests.
    expect(docker.requests.length - before).toBeLessThan(40);
    expect(count(run, "docker.disconnected")).toBe(1);
    docker.faults.clear();
    docker.add({ labels: LABELS, port });
    await run.offered("web", 2);
  });

  test("E9 an engine that hangs is given up in time", async () => {
    docker.add({ labels: LABELS, port });
    const run = start();
    await run.offered("web", 1);
    docker.faults.set("list", "hang");
    await until(() => run.nerve.readiness().some((part) => part.part === "docker" && !part.ready), {
      what: "away",
      timeoutMs: 8_000,
    });
    expect(run.entries().size).toBe(1);
  });

  test("inspect of one container: the others go on, and it is asked again", async () => {
    const bad = docker.add({ labels: { ...LABELS, "smartstack.service": "bad" }, port });
    docker.broken.add(bad.id);
    docker.add({ labels: LABELS, port });
    const run = start();
    await run.offered("web", 1);
    await until(() => run.status(bad.id)?.warnings[0]?.includes("500"), { what: "the reason is shown" });
    expect(count(run, "docker.disconnected")).toBe(0);
    docker.broken.clear();
    await run.offered("bad", 1, 5_000);
  });

  test.each([{}, { filter: { label: "smartstack.service" } }])(
    "inspect answers with another page (%j): what was known stays, and is asked for again",
    async (filter) => {
      const known = docker.add({ labels: LABELS, port });
      const run = start({ docker: filter, nerve: { reconcile: "1h" } });
      await run.offered("web", 1);
      docker.faults.set("inspect", "nonsense");
      docker.event("rename", known.id);
      const late = docker.add({ labels: { ...LABELS, "smartstack.service": "late" }, port });
      for (const { id } of [known, late])
        await until(() => run.status(id)?.warnings[0]?.includes("no container"), { what: "the reason is shown" });
      expect([...run.entries().values()].map(({ container }) => container)).toEqual([known.id.slice(0, 12)]);
      docker.faults.clear();
      await run.offered("late", 1, 5_000);
      expect(run.nerve.containers()).toHaveLength(2);
    },
  );

  test("inspect of a container that was known: it stays, and is asked again though nothing else changes", async () => {
    const known = docker.add({ labels: LABELS, port });
    const run = start();
    await run.offered("web", 1);
    docker.broken.add(known.id);
    docker.event("rename", known.id);
    await until(() => run.status(known.id)?.warnings.length === 1, { what: "the reason is shown" });
    expect(run.entries().size).toBe(1);
    docker.broken.clear();
    await until(() => run.status(known.id)?.warnings.length === 0, { what: "it is asked again" });
  });
});

test("a kill takes the entry away without asking the engine anything first", async () => {
  const container = docker.add({ labels: LABELS, port });
  const run = start({ nerve: { reconcile: "1h" } });
  await run.offered("web", 1);
  docker.faults.set("inspect", "hang");
  docker.event("kill", container.id, { signal: "15" });
  await run.offered("web", 0, 500);
});

test("a stop signal of its own, sent before it could be inspected, takes an adopted entry away once it is known", async () => {
  const container = docker.add({ labels: LABELS, port, stopSignal: "SIGQUIT" });
  const first = start();
  await first.offered("web", 1);
  await first.stop("keep");
  docker.broken.add(container.id);
  const second = start({ store: first.store });
  await until(() => second.status(container.id)?.warnings[0]?.includes("500"), { what: "it cannot be inspected" });
  await second.offered("web", 1);
  docker.event("kill", container.id, { signal: "3" });
  docker.broken.clear();
  await second.offered("web", 0);
  expect(second.status(container.id)).toMatchObject({
    running: true,
    refusals: ["sent signal 3: it is stopping"],
  });
});

test("a container that does not run is not offered for that reason alone", async () => {
  const container = docker.add({ labels: LABELS, port });
  const run = start({ nerve: { reconcile: "1h" } });
  await run.offered("web", 1);
  docker.stop(container.id);
  await until(() => run.status(container.id)?.running === false, { what: "seen as stopped" });
  expect(run.status(container.id)?.refusals).toEqual(["not running: exited"]);
});

test("a burst of events costs two inspects at most", async () => {
  const container = docker.add({ labels: LABELS, port });
  const run = start({ nerve: { reconcile: "1h" } });
  await run.offered("web", 1);
  const before = inspects(container.id);
  const line = JSON.stringify({ Type: "container", Action: "rename", Actor: { ID: container.id, Attributes: LABELS } });
  docker.send(`${line}\n`.repeat(200));
  docker.add({ labels: { ...LABELS, "smartstack.service": "after" }, port });
  await run.offered("after", 1);
  expect(inspects(container.id) - before).toBeLessThanOrEqual(2);
});

test("an entry of an earlier run stays while this host's address is not known yet, and when no route tells it", async () => {
  const advertised = { shared: true, docker: { node: "n" } };
  docker.add({ labels: LABELS, port, networkMode: "host" });
  const first = start({ ...advertised, docker: { node: "n", advertise: "10.9.8.7" } });
  await first.offered("web", 1);
  await first.stop("keep");
  const removed: string[] = [];
  first.store.subscribe({
    changed: (changes) => removed.push(...[...changes].flatMap(([path, held]) => (held === undefined ? [path] : []))),
    away: () => undefined,
  });
  const second = start({ ...advertised, store: first.store, registryHosts: ["no.such.host.invalid:2379"] });
  const told = () => second.events.find((event) => event.name === "container.refused");
  await until(told, { what: "it says that there is no route" });
  await until(() => isReady(second), { what: "ready" });
  expect(second.entries().size).toBe(1);
  expect(removed).toEqual([]);
});

test("an engine that tells no id names no node", async () => {
  const nameless = await startDockerDouble({ engineId: "" });
  nameless.add({ labels: LABELS, port });
  const run = start({ host: nameless.host });
  const reason = () => run.nerve.readiness().find(({ part }) => part === "docker")?.reason ?? "";
  await until(() => /tells no id .*set docker.node/.test(reason()), { what: "it says what to do" });
  expect(run.nerve.node()).toBeUndefined();
  await nameless.close();
});

test("no engine at the start: says what to do, keeps what lies there, and picks it up when it comes", async () => {
  const first = start();
  const container = docker.add({ labels: LABELS, port });
  await first.offered("web", 1);
  await first.stop("keep");
  docker.faults.set("events", "reset");
  const second = start({ store: first.store, docker: { node: first.nerve.node() as string } });
  const away = () => second.nerve.readiness().find((part) => part.part === "docker")?.reason ?? "";
  await until(() => /^docker: cannot reach /.test(away()), { what: "it says so" });
  await until(() => second.nerve.readiness().some((part) => part.part === "announce" && part.ready), {
    what: "took over",
  });
  expect((await second.offered("web", 1))[0]?.container).toBe(container.id.slice(0, 12));
  docker.remove(container.id);
  docker.faults.clear();
  await second.offered("web", 0);
});

test("a registry that was away at the start: what lies there when it comes outweighs what is thought by then", async () => {
  const container = docker.add({ labels: LABELS, port });
  const first = start();
  await first.offered("web", 1);
  first.nerve.setState("web", `${container.id.slice(0, 12)}-${port}`, "draining");
  await until(() => [...first.entries().values()][0]?.state === "draining", { what: "draining" });
  await first.stop("keep");
  first.store.setAway(true);
  const second = start({ store: first.store });
  await until(() => second.status(container.id)?.registrations[0]?.health === "up", { what: "up, to its mind" });
  first.store.setAway(false);
  await until(() => isReady(second), { what: "ready" });
  expect((await second.offered("web", 1))[0]?.state).toBe("draining");
});

test("a new nerve is in no hurry to give up what it does not know to be announced already", async () => {
  let probes = 0;
  let status = 200;
  const server = createHttpServer((_, response) => {
    probes++;
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port: at } = server.address() as { port: number };
    const labels = { "smartstack.service": "web", "smartstack.check": "http:/" };
    docker.add({ labels, port: at, networkMode: "host" });
    const first = start();
    await first.offered("web", 1);
    await first.stop("keep");
    const gone: string[] = [];
    first.store.subscribe({
      changed: (changes) => {
        for (const [path, entry] of changes) if (path.startsWith("web/") && entry === undefined) gone.push(path);
      },
      away: () => undefined,
    });
    first.store.setAway(true);
    [probes, status] = [0, 503];
    const second = start({ store: first.store });
    await until(() => probes === 1, { what: "its first probe, which fails" });
    // In a hurry it would fail ten times by then.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(probes).toBe(1);
    status = 200;
    first.store.setAway(false);
    await until(() => isReady(second), { what: "ready" });
    await until(() => probes >= 2, { what: "its second probe" });
    expect(gone).toEqual([]);
    expect(second.entries().size).toBe(1);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

test("every outage of the registry is told, not the first alone", async () => {
  docker.add({ labels: LABELS, port });
  const run = start();
  await run.offered("web", 1);
  for (let outage = 1; outage <= 3; outage++) {
    run.store.setAway(true);
    await until(() => !isReady(run), { what: `away for the ${outage}. time`, timeoutMs: 5_000 });
    run.store.setAway(false);
    await until(() => isReady(run), { what: `back for the ${outage}. time`, timeoutMs: 5_000 });
    expect(count(run, "registry.disconnected")).toBe(outage);
  }
});

test("two nerves of different names on one engine: one announces, the other says why not, and neither goes on writing", async () => {
  const container = docker.add({ labels: LABELS, port });
  const first = start({ docker: { node: "node-a" } });
  await first.offered("web", 1);
  const writes: string[] = [];
  const second = start({ docker: { node: "node-b" }, store: first.store });
  const complaint = (): string | undefined =>
    second.nerve.readiness().find((part) => !part.ready && part.reason.includes("by node node-a"))?.reason;
  await until(complaint, { what: "the second says why" });
  first.store.subscribe({ changed: (changes) => writes.push(...changes.keys()), away: () => undefined });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(writes).toEqual([]);
  expect([...first.entries().values()].map(({ node }) => node)).toEqual(["node-a"]);
  await first.stop();
  expect((await second.offered("web", 1))[0]).toMatchObject({ node: "node-b", container: container.id.slice(0, 12) });
  await until(() => isReady(second), { what: "ready" });
});

describe("leaving and changing", () => {
  const service = (at: number) => ({ services: { own: { host: "127.0.0.1", port: at, checks: [{ type: "tcp" }] } } });

  test("Docker's entries stay for their ttl, those of the configuration leave", async () => {
    docker.add({ labels: LABELS, port });
    const run = start({ nerve: service(port) });
    await run.offered("web", 1);
    await run.offered("own", 1);
    await run.nerve.stop();
    expect([...run.entries().keys()].map((key) => key.split("/")[0])).toEqual(["web"]);
  });

  test("within 3 s when the registry is away", async () => {
    const run = start({ nerve: service(port) });
    await run.offered("own", 1);
    run.store.setAway(true);
    expect(await timed(() => run.nerve.stop("withdraw"))).toBeLessThan(3_300);
  });

  test("a new configuration changes what it concerns, and nothing else", async () => {
    docker.add({ labels: LABELS, port });
    const run = start({ nerve: service(port) });
    await run.offered("web", 1);
    await run.offered("own", 1);
    const written: string[] = [];
    run.store.subscribe({ changed: (changes) => written.push(...changes.keys()), away: () => undefined });
    const { dockerConfig, dockerEngines, nerveConfig } = await import("@smartstack/nerve");
    const same = dockerEngines(dockerConfig.parse({ host: docker.host }), {});
    run.nerve.reconfigure({ engines: same, nerve: nerveConfig.parse({ services: {} }) });
    await run.offered("own", 0);
    expect(written.filter((path) => path.startsWith("web/"))).toEqual([]);
    run.nerve.reconfigure({ engines: [], nerve: nerveConfig.parse({ services: {} }) });
    await run.offered("web", 0);
    run.nerve.reconfigure({ engines: same, nerve: nerveConfig.parse({ services: {} }) });
    await run.offered("web", 1);
    expect(run.nerve.setState("web", "nobody", "draining")).toBe(false);
  });

  test("a node's new name takes effect at the next start, and says so; nothing is written", async () => {
    docker.add({ labels: LABELS, port });
    const run = start({ docker: { node: "node-a" } });
    await run.offered("web", 1);
    const written: string[] = [];
    run.store.subscribe({ changed: (changes) => written.push(...changes.keys()), away: () => undefined });
    const { dockerConfig, dockerEngines, nerveConfig } = await import("@smartstack/nerve");
    const rename = (node?: string): readonly string[] => {
      const section = dockerConfig.parse({ host: docker.host, ...(node === undefined ? {} : { node }) });
      return run.nerve.reconfigure({ engines: dockerEngines(section, {}), nerve: nerveConfig.parse({}) });
    };
    expect([rename("node-b"), rename(), rename("node-a")]).toEqual([["docker.node"], ["docker.node"], []]);
    docker.add({ labels: { ...LABELS, "smartstack.service": "after" }, port });
    await run.offered("after", 1);
    expect(run.nerve.node()).toBe("node-a");
    expect(written.map((path) => path.split("/")[0])).toEqual(["after"]);
  });

  test("a service from configuration follows its check", async () => {
    const run = start({ nerve: { ...service(port), check: { interval: 0.1 } } });
    await run.offered("own", 1);
    await new Promise((resolve) => backend.close(resolve));
    await run.offered("own", 0);
    await new Promise<void>((resolve) => backend.listen(port, "127.0.0.1", resolve));
    await run.offered("own", 1);
  });
});

describe("on_all_down", () => {
  const servers: Server[] = [];
  const open = async (at = 0): Promise<number> => {
    const server = createServer((socket) => socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
    servers.push(server);
    return (server.address() as { port: number }).port;
  };
  const shut = (): Promise<unknown> =>
    Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  afterEach(shut);

  /** Two containers, each with a check that follows a server of its own. */
  async function pair(mode: "keep" | "withdraw") {
    const ports = [await open(), await open()];
    const run = start({
      nerve: { on_all_down: mode, check: { interval: 0.1, timeout: 1 } },
    });
    const labels = { "smartstack.service": "web" };
    const containers = ports.map((at) => docker.add({ labels, port: at, networkMode: "host" }));
    await run.offered("web", 2);
    return { run, ports, containers };
  }

  test("keep: when all fail at once the last state stays, and is told; one that recovers ends that", async () => {
    const { run, ports, containers } = await pair("keep");
    await shut();
    await until(() => count(run, "service.held") === 1, { what: "held" });
    await until(() => count(run, "check.changed") === 4, { what: "both have failed" });
    expect((await run.offered("web", 2)).map(({ state }) => state)).toEqual(["up", "up"]);
    expect(run.status(containers[0]?.id ?? "")?.registrations[0]).toMatchObject({
      health: "down",
      announced: true,
      reason: expect.stringMatching(/stays announced, as every instance of its service here fails$/),
    });
    await open(ports[0]);
    const [left] = await run.offered("web", 1);
    expect(left?.port).toBe(ports[0]);
    expect(count(run, "service.released")).toBe(1);
  });

  test("keep: a container that ends leaves all the same", async () => {
    const { run, containers } = await pair("keep");
    await shut();
    await until(() => count(run, "service.held") === 1, { what: "held" });
    for (const { id } of containers) docker.stop(id);
    await run.offered("web", 0);
  });

  test("withdraw: they go", async () => {
    const { run } = await pair("withdraw");
    await shut();
    await run.offered("web", 0);
    expect(count(run, "service.held")).toBe(0);
  });
});

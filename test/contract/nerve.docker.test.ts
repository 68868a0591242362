import type { Instance } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ContainerOptions, WEB_IMAGE } from "../support/container.ts";
import type { Engine } from "../support/docker.ts";
import { timed } from "../support/pauses.ts";
import { sharedEngine } from "../support/shared-engine.ts";
import { type NerveRun, type NerveRunOptions, runNerve } from "./nerve-harness.ts";

let engine: Engine;
let label: string;
let containers: string[];
let runs: NerveRun[];

beforeAll(async () => {
  engine = await sharedEngine();
});
beforeEach(() => {
  label = `nerve-test-${process.pid}-${performance.now()}`;
  containers = [];
  runs = [];
});
afterEach(async () => {
  await Promise.all(runs.map((run) => run.stop()));
  await engine.remove(...containers);
});

function start(options: Partial<NerveRunOptions> = {}): NerveRun {
  const { docker, ...rest } = options;
  const run = runNerve({ host: engine.host, docker: { filter: { label }, ...docker }, ...rest });
  runs.push(run);
  return run;
}

async function web(options: ContainerOptions = {}): Promise<string> {
  const { labels, ...rest } = options;
  const id = await engine.run({
    expose: [80],
    labels: { [label]: "1", "smartstack.service": "web", ...labels },
    ...rest,
  });
  containers.push(id);
  return id;
}

function written(run: NerveRun): string {
  return JSON.stringify([...run.store.entries]);
}

const only = (instances: readonly Instance[]): Instance => instances[0] as Instance;

describe("life of a container", () => {
  test("started: announced with a whole document; removed: gone at once", async () => {
    const run = start();
    await until(() => run.nerve.readiness().every((part) => part.ready), { what: "nerve is ready" });
    const id = await web({
      labels: { "smartstack.listen": "3000", "smartstack.meta.team": "shop", "other.label": "x" },
    });
    const address = await engine.address(id);
    expect(await timed(() => run.offered("web", 1))).toBeLessThan(2_000);
    const instance = only(await run.offered("web", 1));
    expect(instance).toMatchObject({
      host: address,
      port: 80,
      name: run.nerve.node(),
      labels: { team: "shop" },
      id: `${id.slice(0, 12)}-80`,
      listen: 3000,
      mode: "tcp",
      container: id.slice(0, 12),
      node: run.nerve.node(),
      state: "up",
    });
    expect(Object.keys(instance.labels ?? {})).toEqual(["team"]);
    await engine.docker("rm", "-f", id);
    expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
    await until(() => run.status(id) === undefined, { what: "the container is forgotten" });
  });

  test("already running when nerve starts", async () => {
    await web();
    await start().offered("web", 1);
  });

  test("stop: out at the signal, not at the death", async () => {
    const run = start();
    // Serves for 3 s after TERM.
    const id = await web({ env: { TERM_DELAY: "3000" } });
    await run.offered("web", 1);
    await until(async () => (await engine.docker("logs", id)).includes("listening"), { what: "it handles TERM" });
    const stopping = engine.docker("stop", "--time", "10", id);
    expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
    expect(await engine.docker("inspect", "--format", "{{.State.Running}}", id)).toBe("true");
    expect(run.status(id)?.refusals[0]).toMatch(/sent signal 15/);
    await stopping;
    await engine.docker("start", id);
    await run.offered("web", 1);
  });

  test("only its own stop signal counts, and who ignores that is back 5 s after the stop timeout", async () => {
    const run = start();
    // Node ignores WINCH, and USR1 only makes it listen for a debugger.
    const id = await web({ stopSignal: "SIGUSR1", stopTimeout: 1 });
    await run.offered("web", 1);
    const before = written(run);
    await engine.docker("kill", "-s", "WINCH", id);
    await engine.docker("rename", id, `renamed-${id.slice(0, 12)}`);
    // Events come in order: who has seen the rename has seen the signal.
    await until(() => run.status(`renamed-${id.slice(0, 12)}`), { what: "the rename is seen" });
    expect(written(run)).toBe(before);
    await engine.docker("kill", "-s", "USR1", id);
    expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
    const awaySinceMs = performance.now();
    expect(await timed(() => run.offered("web", 1))).toBeLessThan(8_000);
    expect(performance.now() - awaySinceMs).toBeGreaterThan(5_000);
  });

  test.each(["kill", "kill -s 9", "rm -f"])("docker %s: gone within a second", async (how) => {
    const run = start();
    const id = await web();
    await run.offered("web", 1);
    await engine.docker(...how.split(" "), id);
    expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
  });

  test("a process that ends by itself: no signal of Docker's, out at its death", async () => {
    const run = start();
    const id = await web();
    await run.offered("web", 1);
    await until(async () => (await engine.docker("logs", id)).includes("listening"), { what: "it handles TERM" });
    await engine.docker("exec", id, "/bin/sh", "-c", "kill -TERM 1");
    expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
    await until(() => run.status(id)?.refusals[0] === "not running: exited", { what: "it is seen as exited" });
  });

  test("paused = out, unpaused = in again with its state", async () => {
    const run = start();
    const id = await web();
    await run.offered("web", 1);
    expect(run.nerve.setState("web", `${id.slice(0, 12)}-80`, "draining")).toBe(true);
    await until(() => only([...run.entries().values()]).state === "draining", { what: "draining is announced" });
    await engine.docker("pause", id);
    expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
    // In the event's word first, then in that of the inspect it asks for.
    expect(run.status(id)?.refusals).toEqual([expect.stringMatching(/^(not running: )?paused$/)]);
    await engine.docker("unpause", id);
    expect(only(await run.offered("web", 1)).state).toBe("draining");
  });
});

describe("health", () => {
  test("HEALTHCHECK: in when healthy, out when unhealthy, and back", async () => {
    const run = start();
    const id = await web({ health: { command: "test -e /tmp/well || { echo not well; false; }", retries: 1 } });
    await until(() => run.status(id)?.registrations[0]?.check === "docker", { what: "its check is Docker's" });
    await until(() => run.status(id)?.registrations[0]?.output === "exit code 1: not well", { what: "what it says" });
    expect(run.entries().size).toBe(0);
    await engine.docker("exec", id, "/bin/sh", "-c", "> /tmp/well");
    await run.offered("web", 1);
    expect(run.status(id)?.registrations[0]?.output).toBe("exit code 0");
    expect(written(run)).not.toContain("exit code");
    await engine.docker("exec", id, "/bin/sh", "-c", "rm /tmp/well");
    await run.offered("web", 0);
  });

  test("nothing listens: not announced, and the reason is shown", async () => {
    const run = start();
    const id = await web({ labels: { "smartstack.port": "81" } });
    await until(() => run.status(id)?.registrations[0]?.health === "down", { what: "the check fails" });
    expect(run.status(id)?.registrations[0]?.reason).toMatch(/ECONNREFUSED/);
    expect(run.entries().size).toBe(0);
  });

  test("http check by label", async () => {
    const run = start();
    const id = await web({ labels: { "smartstack.check": "http:/health", "smartstack.check.interval": "100ms" } });
    expect(only(await run.offered("web", 1)).mode).toBe("http");
    await engine.docker("exec", id, "/bin/sh", "-c", "> /tmp/sick");
    await run.offered("web", 0);
    expect(run.status(id)?.registrations[0]?.reason).toBe("status 503");
  });
});

describe("networks and ports", () => {
  test("disconnected: out; connected again: back with the new address", async () => {
    const run = start();
    const network = `nt${process.pid}`;
    await engine.docker("network", "create", network);
    try {
      const id = await web();
      await run.offered("web", 1);
      await engine.docker("network", "disconnect", "bridge", id);
      expect(await timed(() => run.offered("web", 0))).toBeLessThan(1_000);
      await engine.docker("network", "connect", network, id);
      const instance = only(await run.offered("web", 1));
      expect(instance.host).toBe(await engine.address(id, network));
      await engine.docker("rm", "-f", id);
    } finally {
      await engine.docker("network", "rm", network);
    }
  });

  test("restarted with other published ports: the new port is announced", async () => {
    const run = start({ shared: true, docker: { filter: { label }, advertise: "10.9.8.7" } });
    const id = await web({ publish: ["80"] });
    // Docker chooses another port for each run.
    const published = async (): Promise<number> =>
      Number((await engine.docker("port", id, "80")).split("\n")[0]?.split(":").pop());
    expect(only(await run.offered("web", 1))).toMatchObject({ host: "10.9.8.7", port: await published() });
    await engine.docker("restart", "--time", "0", id);
    await until(async () => only([...run.entries().values()])?.port === (await published()), {
      what: "the port of the new run is announced",
    });
  });

  test("unpublished in a shared registry: refused, with the reason", async () => {
    const run = start({ shared: true, docker: { filter: { label }, advertise: "10.9.8.7" } });
    const id = await web();
    await until(() => run.status(id)?.refusals[0]?.includes("port 80/tcp is not published"), { what: "a refusal" });
    expect(run.events.some((event) => event.name === "container.refused")).toBe(true);
  });

  test("host network", async () => {
    const run = start({ docker: { filter: { label }, advertise: engine.hostAddress } });
    await web({
      network: "host",
      env: { PORT: "18081" },
      labels: { "smartstack.port": "18081", "smartstack.check": "none" },
    });
    expect(only(await run.offered("web", 1))).toMatchObject({ host: engine.hostAddress, port: 18081 });
  });

  test("a container in another's network: at that one's address; refused once the other was restarted", async () => {
    const run = start();
    const other = await web({ labels: { "smartstack.service": "" } });
    const id = await web({
      network: `container:${other}`,
      expose: [],
      env: { PORT: "8080" },
      labels: { "smartstack.port": "8080" },
    });
    const instance = only(await run.offered("web", 1));
    expect(instance).toMatchObject({ id: `${id.slice(0, 12)}-8080`, host: await engine.address(other), port: 8080 });
    await engine.docker("restart", "--time", "0", other);
    await run.offered("web", 0);
    await until(() => run.status(id)?.refusals[0]?.includes("was restarted after it"), { what: "the reason" });
    await engine.docker("restart", "--time", "0", id);
    expect(only(await run.offered("web", 1)).host).toBe(await engine.address(other));
  });

  test("words of registrator in the environment", async () => {
    const run = start({ docker: { filter: { label }, conventions: ["registrator"] } });
    const env = { SERVICE_NAME: "shop", SERVICE_TAGS: "a,b", SERVICE_80_ID: "shop-1", OTHER: "s3cret" };
    await web({ labels: { "smartstack.service": "" }, env });
    expect(only(await run.offered("shop", 1))).toMatchObject({ port: 80, labels: { tags: "a,b", id: "shop-1" } });
    expect(written(run)).not.toContain("s3cret");
  });

  test("two services, one of them UDP, from one container", async () => {
    const run = start();
    const id = await web({
      expose: [80, "53/udp"],
      labels: { "smartstack.service": "", "smartstack.80.service": "web", "smartstack.53/udp.service": "dns" },
    });
    await run.offered("web", 1);
    expect(only(await run.offered("dns", 1))).toMatchObject({ id: `${id.slice(0, 12)}-53-udp`, protocol: "udp" });
  });
});

describe("a new nerve on the same node", () => {
  test("adopts what runs without a gap, with its state, and drops what does not", async () => {
    const first = start();
    const stays = await web();
    const goes = await web();
    await first.offered("web", 2);
    first.nerve.setState("web", `${stays.slice(0, 12)}-80`, "draining");
    await until(() => [...first.entries().values()].some((entry) => entry.state === "draining"), { what: "drained" });
    const since = [...first.entries().values()].find((entry) => entry.state === "draining")?.since;
    await first.stop("keep");
    await engine.docker("rm", "-f", goes);
    const gaps: string[] = [];
    const path = `web/${stays.slice(0, 12)}-80`;
    first.store.subscribe({
      changed: (changes) => {
        if (changes.has(path) && changes.get(path) === undefined) gaps.push(path);
      },
      away: () => undefined,
    });
    const second = start({ store: first.store });
    const kept = only(await second.offered("web", 1));
    expect(kept).toMatchObject({ container: stays.slice(0, 12), state: "draining", since });
    await until(() => second.status(stays)?.registrations[0]?.health === "up", { what: "its check has spoken" });
    expect(only(await second.offered("web", 1))).toMatchObject({ state: "draining", since });
    expect(gaps).toEqual([]);
  });

  test("fences the old one, which writes nothing more", async () => {
    const first = start();
    const id = await web();
    await first.offered("web", 1);
    const second = start({ store: first.store });
    await until(() => first.nerve.readiness().some((part) => part.reason.includes("taken over")), {
      what: "the first says that it was taken over",
    });
    expect(first.events.some((event) => event.name === "nerve.fenced")).toBe(true);
    expect(() => first.nerve.setState("web", `${id.slice(0, 12)}-80`, "draining")).toThrow("taken over");
    await until(() => second.nerve.readiness().every((part) => part.ready), { what: "the second is ready" });
    await engine.docker("kill", id);
    await second.offered("web", 0);
  });
});

test("a foreign delete is repaired at once", async () => {
  const run = start();
  const id = await web();
  await run.offered("web", 1);
  run.store.force(new Map([[`web/${id.slice(0, 12)}-80`, undefined]]));
  await run.offered("web", 1, 1_000);
  expect(run.events.some((event) => event.name === "instance.repaired")).toBe(true);
});

test("a registry that was away gets everything", async () => {
  const run = start();
  await web();
  await run.offered("web", 1);
  run.store.setAway(true);
  await until(() => run.nerve.readiness().some((part) => part.part === "announce" && !part.ready), { what: "away" });
  await web();
  run.store.setAway(false);
  await run.offered("web", 2);
});

test("ten started together are all announced", async () => {
  const run = start();
  await Promise.all(Array.from({ length: 10 }, () => web()));
  await run.offered("web", 10, 30_000);
  expect(run.events.filter((event) => event.name === "docker.drift")).toEqual([]);
});

test("a quiet engine shows no drift, whatever state its containers are in", async () => {
  await web({ publish: ["80", "127.0.0.1::81", "53/udp"] });
  const paused = await web();
  const exited = await web({ command: ["/bin/sh", "-c", "exit 3"] });
  await web({ health: { command: "true" } });
  await web({ network: "none" });
  await web({ network: "host", env: { PORT: "18082" } });
  containers.push(
    await engine.docker("create", "--label", `${label}=1`, "--label", "smartstack.service=web", WEB_IMAGE),
  );
  await engine.docker("pause", paused);
  const run = start({ nerve: { reconcile: 1 }, docker: { filter: { label }, advertise: engine.hostAddress } });
  await until(() => run.status(exited)?.running === false, { what: "the exited one is known" });
  await until(() => run.nerve.containers().length === 7, { what: "all are known" });
  // Three comparisons, and the time a drift is given to turn out to be none.
  await new Promise((resolve) => setTimeout(resolve, 4_500));
  expect(run.events.filter((event) => event.name === "docker.drift")).toEqual([]);
  expect(run.nerve.containers().filter((container) => container.warnings.length > 0)).toEqual([]);
});

test("a filter by its own project, where nerve has none: says so", async () => {
  const run = start({ docker: { filter: { project: "own" } } });
  await until(() => run.nerve.readiness().some((part) => part.reason.includes("docker.filter.project is own")), {
    what: "the reason",
  });
});

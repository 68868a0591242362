import { createServer, type Server } from "node:net";
import { systemClock } from "@smartstack/core";
import { fakeClock, seededRandom, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { CHECKS, type CheckSpec, optionsOf } from "./checks/index.ts";
import type { EngineHealth } from "./containers.ts";
import type { Health } from "./health.ts";
import { type Prober, probePeriodMs, startProber } from "./prober.ts";

const CHECK: CheckSpec = {
  type: "none",
  host: "127.0.0.1",
  port: 1,
  options: {},
  published: false,
  intervalMs: 1_000,
  timeoutMs: 500,
  rise: 1,
  fall: 2,
  damping: undefined,
};

let stop: (() => void)[] = [];
afterEach(() => {
  for (const end of stop) end();
  stop = [];
  vi.restoreAllMocks();
});

function run(
  check: Partial<CheckSpec>,
  engineHealth: () => EngineHealth | undefined = () => undefined,
  clock = systemClock,
  eager: () => boolean = () => true,
) {
  const seen: Health[] = [];
  const prober: Prober = startProber({
    check: { ...CHECK, ...check, options: check.options ?? optionsOf(check.type ?? CHECK.type, {}) },
    clock,
    random: () => 0.5,
    eager,
    engineVerdict: () => ({ health: engineHealth(), healthOutput: undefined }),
    onHealth: (health) => seen.push(health),
  });
  stop.push(prober.stop);
  return { prober, seen };
}

/** A tcp check every 2 s, which fails at once, on a clock of its own. */
function failing(eager: () => boolean) {
  const probe = vi.spyOn(CHECKS.tcp, "probe").mockResolvedValue({ passed: false, reason: "refused" });
  const clock = fakeClock();
  run({ type: "tcp", intervalMs: 2_000 }, undefined, clock, eager);
  return { clock, count: () => probe.mock.calls.length };
}

async function countingServer(): Promise<{
  readonly port: number;
  readonly count: () => number;
  readonly server: Server;
}> {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.on("error", () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stop.push(() => server.close());
  return { port: (server.address() as { port: number }).port, count: () => count, server };
}

describe("how often", () => {
  test("the first probe at once, then every 100 ms until the first success, then at the interval", async () => {
    const { port, count, server } = await countingServer();
    await new Promise((resolve) => server.close(resolve));
    const startedMs = performance.now();
    const { prober, seen } = run({ type: "tcp", port, intervalMs: 60_000 });
    await until(() => seen.length >= 4, { what: "four probes" });
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(prober.health().state).toBe("down");
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    await until(() => prober.health().state === "up", { what: "up", timeoutMs: 1_000 });
    const probes = count();
    await new Promise((resolve) => setTimeout(resolve, 300));
    // The timer of the last hurried probe may still have been set.
    expect(count()).toBeLessThanOrEqual(probes + 1);
  });

  test("a port that never opens is not knocked at ten times a second for ever", async () => {
    const { clock, count } = failing(() => true);
    await clock.advance(59_000);
    const hurried = count();
    expect(hurried).toBeGreaterThan(500);
    await clock.advance(2_000);
    const before = count();
    await clock.advance(20_000);
    expect(count() - before).toBe(10);
  });

  test("one that nobody waits for is probed at its interval from the beginning", async () => {
    const { clock, count } = failing(() => false);
    await clock.advance(100);
    expect(count()).toBe(1);
    await clock.advance(1_800);
    expect(count()).toBe(1);
    await clock.advance(200);
    expect(count()).toBe(2);
  });

  test("who turns out to be waited for is probed soon", async () => {
    let eager = false;
    const { clock, count } = failing(() => eager);
    await clock.advance(500);
    expect(count()).toBe(1);
    eager = true;
    await clock.advance(100);
    expect(count()).toBe(2);
  });

  test("periods", () => {
    const middle = () => 0.5;
    expect(probePeriodMs(2_000, true, middle)).toBe(100);
    expect(probePeriodMs(2_000, false, middle)).toBe(2_000);
    expect(probePeriodMs(50, true, middle)).toBe(50);
    expect([probePeriodMs(2_000, false, () => 0), probePeriodMs(2_000, false, () => 1)]).toEqual([1_900, 2_100]);
  });

  test("Docker's verdict is not asked for by time, and stopping leaves no timer", async () => {
    const clock = fakeClock();
    let asked = 0;
    const verdict = (): EngineHealth => {
      asked++;
      return "unhealthy";
    };
    const { prober } = run({ type: "docker" }, verdict, clock);
    await clock.advance(10_000);
    const first = asked;
    await clock.advance(60_000);
    expect(asked).toBe(first);
    prober.stop();
    expect(clock.pending()).toBe(0);
  });

  test("a probe that hangs is waited for, not piled upon", async () => {
    const { port, server } = await countingServer();
    const { seen } = run({ type: "http", port, intervalMs: 50, timeoutMs: 400 });
    const resultsBefore: number[] = [];
    server.on("connection", () => resultsBefore.push(seen.length));
    await until(() => resultsBefore.length === 3, { what: "the third connection" });
    expect(resultsBefore).toEqual([0, 1, 2]);
    expect(seen[0]).toMatchObject({ last: false, reason: "no answer within 400 ms" });
  });
});

describe("many checks", () => {
  test("one that hangs delays no other", async () => {
    const { port, server } = await countingServer();
    const slow = run({ type: "http", port, intervalMs: 50, timeoutMs: 4_000 });
    const quick = Array.from({ length: 20 }, () => run({ type: "tcp", port, intervalMs: 50, timeoutMs: 1_000 }));
    await until(() => slow.seen.length === 1, { what: "the slow one's first result" });
    // 80 periods have gone by; a busy machine may have lost most of them.
    for (const { seen } of quick) expect(seen.length).toBeGreaterThan(15);
    expect(server.listening).toBe(true);
  });

  test("the rate is fixed: what a probe takes is not added to the period", async () => {
    const clock = fakeClock();
    const { port, count } = await countingServer();
    // Behind a published port a probe takes 50 ms of the clock.
    run({ type: "tcp", port, published: true, intervalMs: 100 }, undefined, clock);
    for (let probes = 1; probes <= 5; probes++) {
      await until(() => count() === probes, { what: `probe ${probes} at ${clock.monotonic()} ms` });
      await until(() => clock.pending() === 3, { what: "the period, the timeout and the 50 ms run" });
      await clock.advance(100);
    }
    expect(clock.monotonic()).toBe(500);
  });

  test("they do not stay in step", () => {
    const random = seededRandom(7);
    const periods = Array.from({ length: 100 }, () => probePeriodMs(2_000, false, random));
    expect(Math.min(...periods)).toBeGreaterThanOrEqual(1_900);
    expect(Math.max(...periods)).toBeLessThanOrEqual(2_100);
    expect(new Set(periods.map(Math.round)).size).toBeGreaterThan(50);
  });
});

describe("damping", () => {
  test("holds a flapping check down, and lets it up when it has been steady, though nobody says anything new", async () => {
    const clock = fakeClock();
    let health: EngineHealth = "healthy";
    const { prober } = run({ type: "docker", fall: 1, damping: 2 }, () => health, clock);
    const say = async (next: EngineHealth): Promise<string> => {
      health = next;
      prober.kick();
      await clock.advance(1_000);
      return prober.health().state;
    };
    await clock.advance(0);
    expect(prober.health().state).toBe("up");
    expect(await say("unhealthy")).toBe("down");
    expect(await say("healthy")).toBe("up");
    expect(await say("unhealthy")).toBe("down");
    expect(await say("healthy")).toBe("down");
    expect(prober.health().reason).toBe(
      "flapping, held down: more than 2 changes within a minute; last: Docker says healthy",
    );
    await clock.advance(54_000);
    expect(prober.health().state).toBe("down");
    await clock.advance(3_000);
    expect(prober.health()).toMatchObject({ state: "up", reason: "Docker says healthy" });
    prober.stop();
    expect(clock.pending()).toBe(0);
  });
});

describe("Docker's verdict", () => {
  test("is taken when the engine speaks, and starting is not a failure", async () => {
    let health: EngineHealth = "starting";
    const { prober } = run({ type: "docker", fall: 1 }, () => health);
    await until(() => prober.health().reason === "Docker says starting", { what: "starting" });
    prober.kick();
    prober.kick();
    await until(() => prober.health().reason === "Docker says starting", { what: "still starting" });
    expect(prober.health().state).toBe("starting");
    health = "healthy";
    prober.kick();
    await until(() => prober.health().state === "up", { what: "up" });
    health = "unhealthy";
    prober.kick();
    await until(() => prober.health().state === "down", { what: "down" });
  });

  test("that comes while it is being taken is not lost", async () => {
    let health: EngineHealth = "unhealthy";
    const { prober } = run({ type: "docker", fall: 1 }, () => health);
    health = "healthy";
    prober.kick();
    await until(() => prober.health().state === "up", { what: "up", timeoutMs: 1_000 });
  });
});

test("stopping closes what a probe has open", async () => {
  const { port, server } = await countingServer();
  const open = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
  const { prober } = run({ type: "http", port, timeoutMs: 60_000 });
  await until(async () => (await open()) === 1, { what: "a connection" });
  prober.stop();
  await until(async () => (await open()) === 0, { what: "no connection", timeoutMs: 1_000 });
});

test("stopped is stopped", async () => {
  const { prober, seen } = run({});
  prober.stop();
  prober.kick();
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([]);
});

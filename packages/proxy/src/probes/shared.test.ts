import { eventBus, systemClock } from "@smartstack/core";
import { fakeClock, seededRandom, until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { type Backend, createBackend } from "../backend.ts";
import type { Probe } from "../checker.ts";
import { createProxy } from "../proxy.ts";
import { DEFAULT_CHECK } from "../snapshot.ts";
import { backendSpec, rawBackend, serviceSpec } from "../testing/bench.ts";
import { mayBeOldMs, probeKey, shareProbes } from "./shared.ts";

const CHECK = { ...DEFAULT_CHECK, intervalMs: 2_000 };
const backendAt = (port: number): Backend => createBackend(backendSpec("a", port), CHECK, 0);

function scene() {
  const clock = fakeClock();
  const asked: { readonly port: number; readonly answer: (ok: boolean) => void; cancelled: boolean }[] = [];
  const probe: Probe = (backend, _, done) => {
    const one = { port: backend.port, answer: (ok: boolean) => done({ ok, reason: "" }), cancelled: false };
    asked.push(one);
    return () => {
      one.cancelled = true;
    };
  };
  const shared = shareProbes(probe, clock);
  const results: boolean[] = [];
  const ask = (backend: Backend, check = CHECK) => shared(backend, check, ({ ok }) => results.push(ok));
  return { clock, asked, results, ask };
}

it("asks once for all who want to know the same, while it asks and for half an interval after", async () => {
  const { clock, asked, results, ask } = scene();
  for (let n = 0; n < 20; n++) ask(backendAt(1));
  ask(backendAt(2));
  expect(asked).toHaveLength(2);
  asked[0]?.answer(true);
  expect(results).toHaveLength(20);
  await clock.advance(900);
  ask(backendAt(1));
  await clock.advance(0);
  expect(results).toHaveLength(21);
  await clock.advance(200);
  ask(backendAt(1));
  expect(asked).toHaveLength(3);
});

it("takes no result for granted that began before the backend's turn", async () => {
  const { clock, asked, ask } = scene();
  const [calm, doubted] = [backendAt(1), backendAt(1)];
  ask(calm);
  await clock.advance(100);
  doubted.turnedMs = clock.monotonic();
  ask(doubted);
  expect(asked).toHaveLength(2);
  asked[0]?.answer(true);
  await clock.advance(100);
  doubted.turnedMs = clock.monotonic();
  ask(doubted);
  expect(asked).toHaveLength(3);
});

it("gives a probe up when the last who waits for it has", () => {
  const { asked, results, ask } = scene();
  const [first, second] = [ask(backendAt(1)), ask(backendAt(1))];
  first();
  expect(asked[0]?.cancelled).toBe(false);
  second();
  expect(asked[0]?.cancelled).toBe(true);
  ask(backendAt(1));
  expect(asked).toHaveLength(2);
  asked[1]?.answer(false);
  expect(results).toEqual([false]);
});

it("keeps twenty services from probing one backend twenty times as often", async () => {
  const backend = await rawBackend(() => undefined);
  const proxy = createProxy({ clock: systemClock, random: seededRandom(1), events: eventBus() });
  const check = { ...DEFAULT_CHECK, when: "always", intervalMs: 10_000, timeoutMs: 8_000 } as const;
  const services = Array.from({ length: 20 }, (_, n) =>
    serviceSpec({ name: `s${n}`, listen: [], check, backends: [backendSpec("a", backend.port)] }),
  );
  try {
    proxy.apply({ revision: 1, services });
    const up = () => proxy.status().filter(({ backends }) => backends[0]?.health === "up").length;
    await until(() => up() === 20, { what: "all know that it is up", timeoutMs: 10_000 });
    expect(backend.sockets.length).toBeLessThan(5);
  } finally {
    await proxy.close({ graceMs: 0 });
    await backend.close();
  }
});

it("tells checks apart by all that decides on their result, and not by how often they are made", () => {
  const backend = backendAt(1);
  const key = probeKey(backend, CHECK);
  expect(probeKey(backend, { ...CHECK, intervalMs: 1, rise: 9, fall: 9, when: "always" })).toBe(key);
  for (const other of [{ type: "http" }, { port: 2 }, { timeoutMs: 1 }, { path: "/x" }, { sendProxy: "v1" }] as const)
    expect(probeKey(backend, { ...CHECK, ...other })).not.toBe(key);
  expect(mayBeOldMs({ ...CHECK, fastIntervalMs: 100 })).toBe(50);
});

import { describe, expect, it } from "vitest";
import { SILENT_AGENT } from "./agent-word.ts";
import { type Backend, createBackend } from "./backend.ts";
import { NO_HASH } from "./balance/balance.ts";
import { DEFAULT_GRADIENT, newGradient } from "./gradient.ts";
import { hasRoom, slotsOf, standIn, UNLIMITED } from "./limits.ts";
import { createQueue, type Queue, type Waiter } from "./queue.ts";
import { DEFAULT_CHECK } from "./snapshot.ts";
import { backendSpec } from "./testing/bench.ts";

function backendOf(key: string, slots: number): Backend {
  return Object.assign(createBackend(backendSpec(key, 1), DEFAULT_CHECK, 0), { slots, weight: 1 });
}

interface Scene {
  readonly queue: Queue;
  /** Names in the order of their turns, each with its backend. */
  readonly turns: string[];
  join(name: string, full: Backend, hash?: number): { readonly waiter: Waiter; readonly joined: boolean };
  over(backend: Backend): Promise<void>;
}

/** Each whose turn it is takes a slot. `of`: the backend of a hash. */
function sceneOf(backends: readonly Backend[], of?: (hash: number) => Backend | undefined, max = 100): Scene {
  const turns: string[] = [];
  const queue = createQueue({
    pick: (_, hash) => (of === undefined ? (backends.find(hasRoom) ?? backends[0]) : of(hash)),
    mayHaveRoom: () => backends.some(hasRoom),
    isOwn: () => of !== undefined,
    max: () => max,
  });
  return {
    queue,
    turns,
    join(name, full, hash = NO_HASH) {
      const waiter: Waiter = {
        tried: [],
        hash,
        go(backend) {
          if (backend !== undefined) backend.active++;
          turns.push(`${name}: ${backend?.key ?? "none"}`);
        },
      };
      return { waiter, joined: queue.join(waiter, full) };
    },
    async over(backend) {
      backend.active--;
      queue.wake();
      await Promise.resolve();
    },
  };
}

it("lets them go in the order in which they came, one for each slot, and not within the event that freed it", async () => {
  const [a, b] = [backendOf("a", 1), backendOf("b", 1)];
  const scene = sceneOf([a, b]);
  a.active = b.active = 1;
  for (const name of ["1", "2", "3"]) scene.join(name, a);
  b.active--;
  scene.queue.wake();
  expect(scene.turns).toEqual([]);
  await Promise.resolve();
  expect(scene.turns).toEqual(["1: b"]);
  await scene.over(a);
  await scene.over(a);
  expect(scene.turns).toEqual(["1: b", "2: a", "3: a"]);
  expect(scene.queue.size()).toBe(0);
});

it("passes over who has left, and takes no more than its bound", async () => {
  const a = backendOf("a", 1);
  const scene = sceneOf([a], undefined, 2);
  a.active = 1;
  const first = scene.join("1", a);
  scene.join("2", a);
  expect(scene.join("3", a).joined).toBe(false);
  scene.queue.leave(first.waiter);
  expect(scene.join("4", a).joined).toBe(true);
  await scene.over(a);
  await scene.over(a);
  expect(scene.turns).toEqual(["2: a", "4: a"]);
});

it("lets nobody overtake: who comes while others wait gets a slot behind them", async () => {
  const [a, b] = [backendOf("a", 1), backendOf("b", 1)];
  const scene = sceneOf([a, b], (hash) => (hash === 1 ? a : b));
  a.active = 1;
  scene.join("for a", a, 1);
  scene.join("for b", b, 2);
  await Promise.resolve();
  expect(scene.turns).toEqual(["for b: b"]);
  await scene.over(a);
  expect(scene.turns).toEqual(["for b: b", "for a: a"]);
});

it("thinks again for everyone when the backends have changed, and tells them when there are none", async () => {
  const [a, b] = [backendOf("a", 1), backendOf("b", 1)];
  let backend: Backend | undefined = a;
  const scene = sceneOf([a, b], () => backend);
  a.active = 1;
  scene.join("1", a);
  scene.queue.wake();
  await Promise.resolve();
  expect(scene.turns).toEqual([]);
  backend = b;
  scene.queue.rethink();
  await Promise.resolve();
  scene.join("2", b);
  backend = undefined;
  scene.queue.rethink();
  await Promise.resolve();
  expect(scene.turns).toEqual(["1: b", "2: none"]);
});

describe("limits", () => {
  it("are the smallest of what is said; requests count in http only", () => {
    const limits = { requestsMax: 5, connectionsMax: 8, queueMax: 1 };
    const plain = backendOf("a", 0);
    expect(slotsOf({ mode: "http", limits }, plain)).toBe(5);
    expect(slotsOf({ mode: "tcp", limits }, plain)).toBe(8);
    expect(slotsOf({ mode: "tcp", limits }, { spec: { slots: 3 }, gradient: undefined, agent: undefined })).toBe(3);
    expect(slotsOf({ mode: "http" }, plain)).toBe(UNLIMITED);
    const gradient = { ...newGradient(DEFAULT_GRADIENT, 0), limit: 4 };
    expect(slotsOf({ mode: "http", limits }, { spec: {}, gradient, agent: undefined })).toBe(4);
    const agent = { ...SILENT_AGENT, slots: 1 };
    expect(slotsOf({ mode: "tcp", limits }, { spec: { slots: 3 }, gradient, agent })).toBe(1);
    expect(
      slotsOf({ mode: "http", limits: { ...limits, requestsMax: 2 } }, { spec: {}, gradient, agent: undefined }),
    ).toBe(2);
  });

  it("give a full one's turn to the next in the order, or to whoever has the least to do", () => {
    const all = ["a", "b", "c", "d"].map((key) => backendOf(key, 3));
    const [a, b, c, d] = all as [Backend, Backend, Backend, Backend];
    b.active = 3;
    c.active = 2;
    a.active = 1;
    d.active = 1;
    expect(standIn(b, all, "round_robin")).toBe(c);
    expect(standIn(b, all, "first")).toBe(c);
    expect(standIn(b, all, "least_conn")).toBe(d);
    for (const one of all) one.active = 3;
    expect(standIn(b, all, "random")).toBeUndefined();
  });
});

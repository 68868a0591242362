import { seededRandom } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { DEFAULT_GRADIENT, type Gradient, newGradient, noteTime } from "./gradient.ts";

interface Simulation {
  readonly state: Gradient;
  /** So long, with so many clients that ask again at once; what each millisecond saw at the backend, on average and at most. */
  run(
    ms: number,
    clients: number,
    capacity: number,
    serviceMs: number,
  ): { readonly mean: number; readonly most: number };
}

/** A backend that works on `capacity` requests at once and lets the others wait, behind a limit that is found out. */
function simulate(spec = DEFAULT_GRADIENT): Simulation {
  const state = newGradient(spec, 0);
  const random = seededRandom(3);
  let now = 0;
  let running: { readonly sentMs: number; leftMs: number }[] = [];
  return {
    state,
    run(ms, clients, capacity, serviceMs) {
      let [sum, most] = [0, 0];
      for (const endMs = now + ms; now < endMs; now++) {
        while (running.length < Math.min(clients, state.limit))
          running.push({ sentMs: now, leftMs: serviceMs * (0.8 + 0.4 * random()) });
        sum += running.length;
        most = Math.max(most, running.length);
        for (const one of running.slice(0, capacity)) one.leftMs--;
        const active = running.length;
        for (const one of running)
          if (one.leftMs <= 0)
            noteTime(state, spec, { ms: now + 1 - one.sentMs, active, nowMs: now + 1, jitter: random() });
        running = running.filter(({ leftMs }) => leftMs > 0);
      }
      return { mean: sum / ms, most };
    },
  };
}

it("comes near what the backend can do at once, and stays there", () => {
  const simulation = simulate();
  simulation.run(5_000, 200, 20, 10);
  const { mean, most } = simulation.run(200_000, 200, 20, 10);
  expect(mean).toBeGreaterThan(20);
  expect(mean).toBeLessThan(40);
  expect(most).toBeLessThan(60);
});

it("follows the backend down and up again within seconds", () => {
  const simulation = simulate();
  simulation.run(5_000, 200, 20, 10);
  simulation.run(3_000, 200, 5, 10);
  expect(simulation.run(1_000, 200, 5, 10).mean).toBeLessThan(15);
  simulation.run(3_000, 200, 40, 10);
  expect(simulation.run(1_000, 200, 40, 10).mean).toBeGreaterThan(40);
});

it("is not raised by a load that does not come near it, nor ever above its bound or below its least", () => {
  const simulation = simulate();
  simulation.run(60_000, 4, 20, 10);
  expect(simulation.state.limit).toBeLessThan(12);
  const bounded = simulate({ min: 2, max: 9 });
  expect(bounded.run(10_000, 200, 20, 10).most).toBe(9);
  const drowned = simulate({ min: 2, max: 9 });
  drowned.run(5_000, 200, 20, 10);
  expect(drowned.run(20_000, 200, 1, 200).mean).toBeLessThan(9);
  expect(drowned.state.limit).toBeGreaterThanOrEqual(2);
});

it("is moved neither by a few slow answers among many, nor by a few answers", () => {
  const state = newGradient(DEFAULT_GRADIENT, 0);
  const tell = (ms: number, nowMs: number) => noteTime(state, DEFAULT_GRADIENT, { ms, active: 3, nowMs, jitter: 0 });
  for (let n = 0; n < 50; n++) tell(10, n);
  expect(state).toMatchObject({ measuring: false, leastMs: 10, limit: 3 });
  for (let n = 0; n < 4; n++) expect(tell(60_000, 1_000 + 200 * n)).toBe(false);
  for (let n = 0; n < 300; n++) tell(n % 3 === 0 ? 60_000 : 10, 2_000 + n);
  expect(state.limit).toBeGreaterThan(3);
});

it("measures the least time anew every minute, with next to nothing running, and goes on where it was", () => {
  const simulation = simulate();
  simulation.run(5_000, 200, 20, 10);
  const { limit } = simulation.state;
  let measured = 0;
  for (let ms = 0; ms < 70_000; ms += 10) {
    const { measuring } = simulation.state;
    simulation.run(10, 200, 20, 10);
    if (measuring && !simulation.state.measuring) measured++;
  }
  expect(measured).toBe(1);
  expect(simulation.state.limit).toBeGreaterThan(limit / 2);
});

import { describe, expect, test } from "vitest";
import {
  afterEvent,
  afterInspect,
  type ContainerEvent,
  LIFECYCLE_START,
  type Lifecycle,
  outReason,
} from "./lifecycle.ts";

const FACTS = { stopSignal: 15, stopTimeoutMs: 10_000, startedAt: "run 1", running: true, status: "running" };

function event(action: ContainerEvent["action"], signal?: number): ContainerEvent {
  return { container: "c", action, signal, labels: {} };
}

function leave(atMs: number): Lifecycle {
  return afterEvent(LIFECYCLE_START, event("kill", 15), FACTS, atMs);
}

describe("kill", () => {
  test.each([
    ["its stop signal", 15, FACTS, "leaving"],
    ["9, whatever its stop signal", 9, { ...FACTS, stopSignal: 3 }, "leaving"],
    ["another signal", 1, FACTS, "in"],
    ["TERM where its stop signal is QUIT", 15, { ...FACTS, stopSignal: 3 }, "in"],
    ["QUIT where that is its stop signal", 3, { ...FACTS, stopSignal: 3 }, "leaving"],
    ["TERM before the first inspect", 15, undefined, "leaving"],
    ["no signal told", undefined, FACTS, "in"],
  ])("%s", (_, signal, facts, phase) => {
    expect(afterEvent(LIFECYCLE_START, event("kill", signal), facts, 0).phase).toBe(phase);
  });

  test("stays out while it still runs, until 5 s after its stop timeout", () => {
    const leaving = leave(1_000);
    expect(outReason(leaving, FACTS)).toMatch(/sent signal 15/);
    expect(afterInspect(leaving, FACTS, 1_001)).toBe(leaving);
    expect(afterInspect(leaving, FACTS, 15_999)).toBe(leaving);
    expect(afterInspect(leaving, FACTS, 16_000)).toBe(LIFECYCLE_START);
  });

  test("a new run is another life, though no event told of it", () => {
    expect(afterInspect(leave(1_000), { ...FACTS, startedAt: "run 2" }, 2_000)).toBe(LIFECYCLE_START);
  });

  test("a second signal during its grace counts anew", () => {
    const killed = afterEvent(leave(0), event("kill", 9), FACTS, 12_000);
    expect(afterInspect(killed, FACTS, 16_000)).toBe(killed);
  });
});

test("an inspect that began before the event knows nothing of it", () => {
  const dead = afterEvent(LIFECYCLE_START, event("die"), FACTS, 1_000);
  expect(afterInspect(dead, FACTS, 999)).toBe(dead);
  expect(outReason(afterInspect(dead, { ...FACTS, running: false }, 1_001), { running: false, status: "exited" })).toBe(
    "not running: exited",
  );
});

test("paused is out at once, and in again when an inspect says so", () => {
  const paused = afterEvent(LIFECYCLE_START, event("pause"), FACTS, 1_000);
  expect(outReason(paused, FACTS)).toBe("paused");
  expect(afterEvent(paused, event("unpause"), FACTS, 2_000)).toBe(paused);
  expect(afterInspect(paused, FACTS, 2_001)).toBe(LIFECYCLE_START);
});

test("started again: not offered by what was known of the last run", () => {
  const dead = afterEvent(LIFECYCLE_START, event("die"), FACTS, 1_000);
  const started = afterEvent(dead, event("start"), FACTS, 1_500);
  expect(outReason(started, FACTS)).toMatch(/not inspected yet/);
  expect(outReason(afterInspect(started, FACTS, 1_501), FACTS)).toBeUndefined();
});

test.each(["rename", "health_status", "connect", "disconnect"] as const)("%s alone decides nothing", (action) => {
  expect(afterEvent(LIFECYCLE_START, event(action), FACTS, 0)).toBe(LIFECYCLE_START);
});

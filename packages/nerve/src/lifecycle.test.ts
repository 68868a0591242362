import { describe, expect, test } from "vitest";
import {
  afterEvent,
  afterInspect,
  type ContainerEvent,
  decideEarly,
  type EarlyEvent,
  HIDDEN_SIGNAL,
  LIFECYCLE_START,
  type Lifecycle,
  outReason,
  remember,
} from "./lifecycle.ts";

const FACTS = {
  ...{ stopSignal: 15, stopTimeoutMs: 10_000, startedAt: "run 1", running: true, status: "running" },
  labels: {} as Readonly<Record<string, string>>,
};

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
    ["one that its label hides", 1, { ...FACTS, labels: { signal: "1" } }, "leaving"],
    ["one that is hidden, before the first inspect", HIDDEN_SIGNAL, undefined, "leaving"],
    ["one that is hidden", HIDDEN_SIGNAL, { ...FACTS, stopSignal: 3 }, "leaving"],
  ])("%s", (_, signal, facts, phase) => {
    expect(afterEvent(LIFECYCLE_START, event("kill", signal), facts, 0).phase).toBe(phase);
  });

  test("stays out while it still runs, until 5 s after its stop timeout", () => {
    const leaving = leave(1_000);
    expect(outReason(leaving, FACTS)).toMatch(/sent signal 15/);
    expect(afterInspect(leaving, FACTS, 1_001)).toBe(leaving);
    expect(afterInspect(leaving, FACTS, 15_999)).toBe(leaving);
    expect(afterInspect(leaving, FACTS, 16_000)).toEqual({
      phase: "in",
      note: "sent signal 15, still runs 5 s after its stop timeout: offered again",
    });
  });

  test("who stayed and is sent it again is out again", () => {
    const stayed = afterInspect(leave(1_000), FACTS, 16_000);
    expect(afterEvent(stayed, event("kill", 9), FACTS, 60_000)).toMatchObject({ phase: "leaving", signal: 9 });
    expect(afterEvent(stayed, event("kill", 1), FACTS, 60_000)).toBe(stayed);
    expect(afterInspect(stayed, FACTS, 61_000)).toBe(stayed);
  });

  test("sent before the new run was inspected: what is known is of the last run, and tells nothing", () => {
    const started = afterEvent(LIFECYCLE_START, event("start"), FACTS, 1_000);
    const leaving = afterEvent(started, event("kill", 15), FACTS, 1_100);
    expect(afterInspect(leaving, { ...FACTS, startedAt: "run 2" }, 1_200)).toBe(leaving);
    expect(afterInspect(leaving, { ...FACTS, running: false, status: "exited" }, 1_200)).toBe(LIFECYCLE_START);
  });

  test("paused on its way out: on its way out still", () => {
    const paused = afterEvent(leave(1_000), event("pause"), FACTS, 1_100);
    const seen = afterInspect(paused, { ...FACTS, running: false, status: "paused" }, 1_200);
    expect(afterInspect(seen, FACTS, 1_300)).toMatchObject({ phase: "leaving", signal: 15 });
    // Not looked at for ever: a pause that lasts is said to be one.
    expect(afterInspect(seen, { ...FACTS, running: false, status: "paused" }, 16_000).phase).toBe("in");
  });

  test("a new run is another life, though no event told of it", () => {
    expect(afterInspect(leave(1_000), { ...FACTS, startedAt: "run 2" }, 2_000)).toBe(LIFECYCLE_START);
  });

  test("a second signal during its grace counts anew", () => {
    const killed = afterEvent(leave(0), event("kill", 9), FACTS, 12_000);
    expect(afterInspect(killed, FACTS, 16_000)).toBe(killed);
  });
});

describe("events that came before the first inspect", () => {
  const after = (stopSignal: number, ...events: readonly ContainerEvent[]): Lifecycle => {
    const early = events.reduce<readonly EarlyEvent[]>((kept, one, at) => remember(kept, one, at + 1), []);
    return decideEarly(early, { ...FACTS, stopSignal });
  };

  test.each<[string, number, readonly ContainerEvent[], string]>([
    ["its stop signal, whichever it is", 3, [event("kill", 3)], "leaving"],
    ["its stop signal, then another", 3, [event("kill", 3), event("kill", 1)], "leaving"],
    ["TERM where its stop signal is QUIT", 3, [event("kill", 15)], "in"],
    ["9", 3, [event("kill", 9)], "leaving"],
    ["another signal", 15, [event("kill", 1), event("kill", 28)], "in"],
    ["a start, then its stop signal", 3, [event("start"), event("kill", 3)], "leaving"],
    ["its stop signal, then paused", 3, [event("kill", 3), event("pause"), event("unpause")], "leaving"],
    ["paused, then its stop signal", 3, [event("pause"), event("kill", 3)], "leaving"],
    ["paused", 3, [event("pause"), event("pause")], "out"],
    ["its stop signal to the run before", 3, [event("kill", 3), event("die"), event("start")], "out"],
    ["nothing that decides", 15, [event("rename"), event("health_status"), event("unpause")], "in"],
  ])("%s", (_, stopSignal, events, phase) => {
    expect(after(stopSignal, ...events).phase).toBe(phase);
  });

  test("the wait for its end begins with the signal", () => {
    expect(after(3, event("rename"), event("kill", 3))).toMatchObject({ atMs: 2, untilMs: 15_002, startedAt: "run 1" });
  });

  test("however many, few are kept", () => {
    let kept: readonly EarlyEvent[] = [];
    for (let at = 0; at < 1_000; at++) kept = remember(kept, event("kill", at % 3), at);
    expect(kept.map(({ atMs }) => atMs)).toEqual([997, 998, 999]);
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

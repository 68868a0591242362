import type { Instance } from "@smartstack/core";
import { fakeClock } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { instanceStates } from "./states.ts";

const entry = (state: Instance["state"], since: number): Instance => ({
  host: "h",
  port: 1,
  since,
  ...(state === undefined ? {} : { state }),
});

test("what lies in the registry is adopted, with its since", () => {
  const states = instanceStates(fakeClock(1_000), () => undefined);
  states.of("web/a");
  states.adopt(
    new Map([
      ["web/a", entry("draining", 7)],
      ["web/b", entry(undefined, 8)],
    ]),
  );
  expect(states.of("web/a")).toEqual({ state: "draining", sinceMs: 7 });
  expect(states.of("web/b")).toEqual({ state: "up", sinceMs: 8 });
});

test("a word said here outweighs what lies there", () => {
  const states = instanceStates(fakeClock(1_000), () => undefined);
  states.set("web/a", "maintenance", undefined);
  states.adopt(new Map([["web/a", entry("up", 7)]]));
  expect(states.of("web/a").state).toBe("maintenance");
});

test("for a while, and the last word counts", async () => {
  const clock = fakeClock(1_000);
  let changes = 0;
  const states = instanceStates(clock, () => changes++);
  states.set("web/a", "draining", 5_000);
  await clock.advance(4_999);
  expect(states.of("web/a").state).toBe("draining");
  await clock.advance(1);
  expect(states.of("web/a")).toEqual({ state: "up", sinceMs: 6_000 });
  expect(changes).toBe(2);
  states.set("web/a", "draining", 5_000);
  states.set("web/a", "maintenance", undefined);
  await clock.advance(10_000);
  expect(states.of("web/a").state).toBe("maintenance");
});

test("gone is forgotten, with its timer", () => {
  const clock = fakeClock();
  const states = instanceStates(clock, () => undefined);
  states.set("web/a", "draining", 5_000);
  states.retain(() => false);
  expect(states.of("web/a").state).toBe("up");
  expect(clock.pending()).toBe(0);
});

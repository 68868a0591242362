import { eventBus, type Instance, type Session, StackError, type StackEvent } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import { changes } from "./changes.ts";
import { follow } from "./follow.ts";
import { registryWriter } from "./registry-writer.ts";

const instance: Instance = { host: "h", port: 1 };
const KEYS = ["web/a", "web/b", "web/taken"] as const;

/** A registry that refuses one key until told otherwise. */
function world(refusedKey: string) {
  const clock = fakeClock();
  const events = eventBus();
  const told: string[] = [];
  events.subscribe(({ name }: StackEvent) => told.push(name));
  const entries = new Map<string, Instance>();
  const desired = new Set<string>();
  const tries: string[] = [];
  let refuses = true;
  const write = async (key: string, work: () => void): Promise<void> => {
    tries.push(key);
    if (refuses && key === refusedKey)
      throw new StackError("REGISTRY_FAILED", "held by another", { side: "config", retry: "after-backoff" });
    work();
  };
  const session = {
    entries: () => entries,
    put: ({ service, id }: { service: string; id: string }) =>
      write(`${service}/${id}`, () => void entries.set(`${service}/${id}`, instance)),
    drop: (service: string, id: string) => write(`${service}/${id}`, () => void entries.delete(`${service}/${id}`)),
  } as unknown as Session;
  const changed = changes();
  const refused = new Map<string, string>();
  const stopping = new AbortController();
  const over = follow({
    ...{ session, changed, refused, events, clock, random: seededRandom(1), signal: stopping.signal },
    writer: registryWriter({ events, withdrawalReason: () => "", onDropped: () => undefined }),
    desired: (scope) => ({
      keys: scope === "all" ? new Set([...desired, ...entries.keys()]) : scope,
      record: (key) => (desired.has(key) ? { service: "web", id: key.slice(4), instance } : undefined),
      keeps: () => false,
    }),
    onTransition: ({ state }) => told.push(state),
    healthy: () => undefined,
  });
  return {
    ...{ clock, told, entries, tries, refused },
    want(key: string, on: boolean) {
      if (on) desired.add(key);
      else desired.delete(key);
      changed.mark([key]);
    },
    accept() {
      refuses = false;
    },
    stop() {
      stopping.abort();
      return over;
    },
  };
}

test("an entry that the registry refuses delays no other, and is written once it may be", async () => {
  const { clock, told, entries, tries, refused, want, accept, stop } = world("web/taken");
  want("web/taken", true);
  await clock.advance(10_000);
  expect([...refused]).toEqual([["web/taken", "held by another"]]);
  // Half of a step to the whole of it, up to 2 s.
  expect(tries.length).toBeGreaterThan(6);
  expect(tries.length).toBeLessThan(16);
  for (const key of KEYS.slice(0, 2)) {
    want(key, true);
    await clock.advance(0);
    expect(entries.has(key)).toBe(true);
    want(key, false);
    await clock.advance(0);
    expect(entries.has(key)).toBe(false);
  }
  expect(told.filter((name) => name === "up" || name === "down")).toEqual(["up"]);
  expect(told.filter((name) => name === "instance.refused")).toHaveLength(1);
  accept();
  await clock.advance(2_001);
  expect(entries.has("web/taken")).toBe(true);
  expect(refused.size).toBe(0);
  await stop();
});

test("what is refused and not wanted any more is let go", async () => {
  const { clock, tries, refused, want, stop } = world("web/taken");
  want("web/taken", true);
  await clock.advance(500);
  want("web/taken", false);
  await clock.advance(0);
  expect(refused.size).toBe(0);
  const before = tries.length;
  await clock.advance(60_000);
  expect(tries.length).toBe(before);
  await stop();
});

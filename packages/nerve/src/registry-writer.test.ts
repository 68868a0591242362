import { eventBus, type InstanceRecord, type Session, StackError, type StackEvent } from "@smartstack/core";
import { expect, test } from "vitest";
import { registryWriter } from "./registry-writer.ts";

const record = (port: number): InstanceRecord => ({
  service: "web",
  id: `i-${port}`,
  instance: { host: "10.0.0.7", port, id: `i-${port}` },
});

test("a round that failed is over before the next: nothing of it is written later, one bad write keeps no other", async () => {
  const written: string[] = [];
  let release: () => void = () => undefined;
  const slow = new Promise<void>((resolve) => {
    release = resolve;
  });
  const put = async ({ id }: InstanceRecord): Promise<void> => {
    if (id === "i-1") throw new Error("refused");
    await slow;
    written.push(id);
  };
  const writer = registryWriter({ events: eventBus(), withdrawalReason: () => "", onDropped: () => undefined });
  const all = Array.from({ length: 40 }, (_, at) => record(at + 1));
  let over = false;
  const outcome = writer.apply({ put } as unknown as Session, { drop: [], put: all }).finally(() => {
    over = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  release();
  expect([...(await outcome)]).toEqual([["web/i-1", expect.objectContaining({ code: "REGISTRY_FAILED" })]]);
  expect(written).toHaveLength(39);
});

test("a server that does not answer ends the round", async () => {
  let calls = 0;
  const put = (): Promise<void> => {
    calls++;
    return Promise.reject(
      new StackError("REGISTRY_UNREACHABLE", "silent", { side: "registry", retry: "after-backoff" }),
    );
  };
  const writer = registryWriter({ events: eventBus(), withdrawalReason: () => "", onDropped: () => undefined });
  const all = Array.from({ length: 100 }, (_, at) => record(at + 1));
  const work = writer.apply({ put } as unknown as Session, { drop: [], put: all });
  await expect(work).rejects.toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  expect(calls).toBeLessThan(20);
});

test("what a new session brought back: told when it is new, and when it went meanwhile", async () => {
  const told: string[] = [];
  const events = eventBus();
  events.subscribe(({ name, data }: StackEvent) => told.push(`${name} ${"id" in data ? data.id : ""}`));
  const writer = registryWriter({ events, withdrawalReason: () => "", onDropped: () => undefined });
  const present = (...ports: number[]): Session =>
    ({
      put: async () => undefined,
      entries: () => new Map(ports.map((port) => [`web/i-${port}`, record(port).instance])),
    }) as unknown as Session;
  await writer.apply(present(), { drop: [], put: [record(1), record(2)] });
  told.length = 0;
  writer.restored([record(2), record(3)], present(2, 3));
  expect(told).toEqual(["instance.announced i-3", "instance.withdrawn i-1"]);
  writer.restored([record(2), record(3)], present(2, 3));
  expect(told).toHaveLength(2);
  writer.adopted(new Map([["web/i-4", record(4).instance]]));
  writer.restored([record(2), record(3), record(4)], present(2, 3, 4));
  expect(told).toHaveLength(2);
});

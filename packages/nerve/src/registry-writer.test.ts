import { eventBus, type InstanceRecord, type Session } from "@smartstack/core";
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
  const outcome = writer
    .apply({ put } as unknown as Session, { drop: [], put: all })
    .catch((error: unknown) => error)
    .finally(() => {
      over = true;
    });
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  release();
  expect(await outcome).toMatchObject({ code: "REGISTRY_FAILED" });
  expect(written).toHaveLength(39);
});

import { EventEmitter } from "node:events";
import type { StackError } from "@smartstack/core";
import { fakeClock } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import type { EtcdClient } from "./client.ts";
import { type Keeping, keepLease } from "./lease.ts";

interface Kept {
  readonly clock: ReturnType<typeof fakeClock>;
  readonly keeping: Keeping;
  readonly losses: StackError[];
  asked(): number;
  /** The server answers everything from now on, or nothing. */
  answering(yes: boolean): void;
}

async function keep(ttlMs: number): Promise<Kept> {
  const clock = fakeClock();
  const losses: StackError[] = [];
  let asked = 0;
  let answers = true;
  const answering = (yes: boolean): void => {
    answers = yes;
  };
  const stream = Object.assign(new EventEmitter(), {
    write() {
      asked++;
      if (answers) stream.emit("data", { TTL: "10" });
    },
    cancel: () => undefined,
  });
  const client = { keepAlive: async () => stream } as unknown as EtcdClient;
  const keeping = await keepLease(client, { id: "1", ttlMs }, clock, (error) => losses.push(error));
  return { clock, keeping, losses, asked: () => asked, answering };
}

describe("a lease that is kept", () => {
  it.each([3_000, 10_000, 60_000])("notices within 5 s that nobody answers, by a ttl of %d ms", async (ttlMs) => {
    const { clock, losses, answering } = await keep(ttlMs);
    await clock.advance(ttlMs * 3);
    expect(losses).toHaveLength(0);
    answering(false);
    await clock.advance(5_000);
    expect(losses).toMatchObject([{ code: "REGISTRY_SESSION_LOST" }]);
  });

  it("is renewed three times in a short ttl", async () => {
    const { clock, asked } = await keep(3_000);
    await clock.advance(9_500);
    expect(asked()).toBe(10);
  });

  it("asks at once when told to, and nothing once it was stopped", async () => {
    const { clock, keeping, losses, asked, answering } = await keep(60_000);
    const before = asked();
    answering(false);
    keeping.renew();
    expect(asked()).toBe(before + 1);
    keeping.stop();
    keeping.renew();
    await clock.advance(60_000);
    expect(asked()).toBe(before + 1);
    expect(losses).toHaveLength(0);
  });
});

import { describe, expect, it } from "vitest";
import { channel, mailbox } from "./mailbox.ts";

const never = new AbortController().signal;

describe("mailbox", () => {
  it("hands over the newest value only", async () => {
    const box = mailbox<number>();
    box.put(1);
    box.put(2);
    expect(await box.take(never)).toBe(2);
  });

  it("wakes a taker", async () => {
    const box = mailbox<number>();
    const taken = box.take(never);
    box.put(1);
    box.put(2);
    expect(await taken).toBe(2);
  });

  it("gives undefined when aborted, before or while waiting", async () => {
    const box = mailbox<number>();
    expect(await box.take(AbortSignal.abort())).toBeUndefined();
    const stop = new AbortController();
    const taken = box.take(stop.signal);
    stop.abort();
    expect(await taken).toBeUndefined();
  });

  it("keeps for the next taker what came together with the abort", async () => {
    const box = mailbox<number>();
    const stop = new AbortController();
    const taken = box.take(stop.signal);
    box.put(1);
    stop.abort();
    expect(await taken).toBeUndefined();
    expect(await box.take(never)).toBe(1);
  });

  it("leaves no listener behind on a signal that lives long", async () => {
    const stop = new AbortController();
    let listeners = 0;
    const add = stop.signal.addEventListener.bind(stop.signal);
    const remove = stop.signal.removeEventListener.bind(stop.signal);
    stop.signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    stop.signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const box = mailbox<number>();
    for (let i = 0; i < 10; i++) {
      const taken = box.take(stop.signal);
      box.put(i);
      await taken;
    }
    expect(listeners).toBe(0);
  });
});

describe("channel", () => {
  const overflow = (): Error => new Error("full");

  async function drain<T>(from: AsyncIterable<T>): Promise<T[]> {
    const seen: T[] = [];
    for await (const value of from) seen.push(value);
    return seen;
  }

  it("keeps order, and ends after what is queued", async () => {
    const queue = channel<number>(10, overflow);
    const seen = drain(queue);
    queue.push(1);
    await Promise.resolve();
    queue.push(2);
    queue.end();
    queue.push(3);
    expect(await seen).toEqual([1, 2]);
  });

  it("carries undefined like any value", async () => {
    const queue = channel<undefined>(10, overflow);
    queue.push(undefined);
    queue.end();
    expect(await drain(queue)).toEqual([undefined]);
  });

  it("throws the error it was ended with, at once", async () => {
    const queue = channel<number>(10, overflow);
    queue.push(1);
    queue.end(new Error("lost"));
    await expect(drain(queue)).rejects.toThrow("lost");
  });

  it("throws when its bound is exceeded, and takes nothing more", async () => {
    const queue = channel<number>(2, overflow);
    queue.push(1);
    queue.push(2);
    queue.push(3);
    queue.push(4);
    await expect(drain(queue)).rejects.toThrow("full");
  });
});

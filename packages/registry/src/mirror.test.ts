import { type Batch, eventBus, StackError } from "@smartstack/core";
import { fakeClock } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import type { Held } from "./contents.ts";
import { link } from "./link.ts";
import { mirror, type Sink, type Source } from "./mirror.ts";
import { rejecter } from "./rejecter.ts";

const doc = (port: number): Held => ({ text: `{"host":"h","port":${port}}` });

interface Opened {
  readonly sink: Sink;
  readonly fail: (error: Error) => void;
  readonly signal: AbortSignal;
}

function setUp(): {
  readonly clock: ReturnType<typeof fakeClock>;
  readonly opened: Opened[];
  readonly copies: ReturnType<typeof mirror>;
  readonly state: ReturnType<typeof link>;
} {
  const clock = fakeClock();
  const opened: Opened[] = [];
  const source: Source = (sink, signal) => new Promise((_, fail) => opened.push({ sink, fail, signal }));
  const state = link(clock, "test", "here");
  return { clock, opened, state, copies: mirror(source, state, rejecter(eventBus()), { clock, random: () => 1 }) };
}

/** A signal that never aborts. One for each: a thousand waits on one would look like a leak. */
const endless = (): AbortSignal => new AbortController().signal;

describe("mirror", () => {
  it("opens its source once for all who watch, and not before", async () => {
    const { opened, copies } = setUp();
    expect(opened).toHaveLength(0);
    const watches = ["web", "web", "db"].map((service) => copies.watch(service, endless()));
    const firsts = watches.map((watch) => watch.next());
    expect(opened).toHaveLength(1);
    opened[0]?.sink.reset(new Map([["web/a", doc(1)]]));
    const batches = (await Promise.all(firsts)).map(({ value }) => value as Batch);
    expect(batches.map((batch) => batch[0]?.type === "reset" && batch[0].entries.length)).toEqual([1, 1, 0]);
  });

  it("ends everybody with the source's error, and begins anew for who comes again", async () => {
    const { clock, opened, copies, state } = setUp();
    const watch = copies.watch("web", endless());
    const names = copies.services(endless());
    const firsts = [watch.next(), names.next()];
    opened[0]?.sink.reset(new Map());
    await Promise.all(firsts);
    expect(state.status().connected).toBe(true);
    opened[0]?.fail(new Error("cut"));
    await expect(watch.next()).rejects.toMatchObject({ code: "REGISTRY_WATCH_LOST", retry: "after-backoff" });
    await expect(names.next()).rejects.toMatchObject({ code: "REGISTRY_WATCH_LOST" });
    expect(state.status()).toMatchObject({ connected: false, lastError: "the watch broke: cut" });
    const again = copies.watch("web", endless()).next();
    await clock.advance(100);
    opened[1]?.sink.reset(new Map([["web/a", doc(1)]]));
    expect((await again).value).toMatchObject([{ type: "reset" }]);
  });

  it("spaces its attempts, however many come again at once, until one has lived for a while", async () => {
    const { clock, opened, copies } = setUp();
    const comeAgain = (): unknown =>
      Promise.allSettled(Array.from({ length: 1_000 }, (_, index) => copies.watch(`s${index}`, endless()).next()));
    const restsMs: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt++) {
      void comeAgain();
      let restMs = 0;
      for (; opened.length < attempt; restMs += 50) await clock.advance(50);
      restsMs.push(restMs);
      if (attempt === 6) await clock.advance(10_000);
      opened.at(-1)?.fail(new Error("away"));
      await clock.advance(0);
    }
    expect(restsMs).toEqual([0, 50, 100, 200, 400, 800, 50]);
  });

  it("ends quietly when the watcher's signal aborts, while it joins and while it waits", async () => {
    const { opened, copies } = setUp();
    const stop = new AbortController();
    const joining = copies.watch("web", stop.signal).next();
    stop.abort();
    expect((await joining).done).toBe(true);
    const later = new AbortController();
    const watch = copies.watch("web", later.signal);
    const first = watch.next();
    opened[0]?.sink.reset(new Map());
    await first;
    const second = watch.next();
    later.abort();
    expect((await second).done).toBe(true);
  });

  it("makes a watcher that falls too far behind begin anew", async () => {
    const { opened, copies } = setUp();
    const watch = copies.watch("web", endless());
    const first = watch.next();
    opened[0]?.sink.reset(new Map());
    await first;
    for (let port = 1; port <= 10_001; port++) opened[0]?.sink.apply(new Map([["web/a", doc((port % 60_000) + 1)]]));
    await expect(watch.next()).rejects.toMatchObject({ code: "REGISTRY_WATCH_LOST" });
  });

  it("stops its source on close, and refuses from then on", async () => {
    const { opened, copies } = setUp();
    const watch = copies.watch("web", endless());
    const first = watch.next();
    opened[0]?.sink.reset(new Map());
    await first;
    const closing = copies.close();
    expect(opened[0]?.signal.aborted).toBe(true);
    opened[0]?.fail(new Error("stopped"));
    await closing;
    await expect(watch.next()).rejects.toBeInstanceOf(StackError);
    await expect(copies.join(endless())).rejects.toMatchObject({ code: "CLOSED" });
  });
});

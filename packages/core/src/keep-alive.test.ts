import { describe, expect, it } from "vitest";
import { exponentialBackoff } from "./backoff.ts";
import { sleep } from "./clock.ts";
import { StackError } from "./errors.ts";
import { type KeepAliveOptions, keepAlive, type Run, type Transition } from "./keep-alive.ts";
import { fakeClock } from "./testing/fake-clock.ts";

const backoff = exponentialBackoff({ minMs: 100, maxMs: 400 });

function bench(run: Run, options: Partial<KeepAliveOptions> = {}) {
  const clock = fakeClock();
  const stop = new AbortController();
  const transitions: Transition[] = [];
  const startsMs: number[] = [];
  const done = keepAlive(
    (signal, healthy) => {
      startsMs.push(clock.monotonic());
      return run(signal, healthy);
    },
    {
      clock,
      random: () => 1,
      signal: stop.signal,
      backoff,
      onTransition: (transition) => transitions.push(transition),
      ...options,
    },
  );
  // A rejection is looked at by the test that expects it.
  done.catch(() => undefined);
  return { clock, stop, transitions, startsMs, done };
}

const fail: Run = () => Promise.reject(new Error("no"));

describe("keepAlive", () => {
  it("comes again after growing waits, and tells the failure once", async () => {
    const { clock, transitions, startsMs } = bench(fail);
    await clock.advance(1_500);
    expect(startsMs).toEqual([0, 100, 300, 700, 1_100, 1_500]);
    expect(transitions).toEqual([{ state: "down", error: expect.any(Error), reason: "no" }]);
  });

  it("tells each transition once, with the number of attempts it took", async () => {
    let runs = 0;
    const { clock, transitions } = bench(async (_, healthy) => {
      runs++;
      if (runs < 3) throw new Error("no");
      healthy();
      healthy();
      if (runs === 3) throw new Error("broken");
      await new Promise(() => undefined);
    });
    await clock.advance(5_000);
    expect(transitions.map((transition) => transition.state)).toEqual(["down", "up", "down", "up"]);
    expect(transitions[1]).toEqual({ state: "up", attempts: 3 });
    expect(transitions[3]).toEqual({ state: "up", attempts: 1 });
  });

  it("takes a run that merely ends for a failure", async () => {
    const { clock, transitions, startsMs } = bench(() => Promise.resolve());
    await clock.advance(100);
    expect(startsMs).toEqual([0, 100]);
    expect(transitions).toEqual([{ state: "down", error: expect.any(Error), reason: "ended" }]);
  });

  it("ends with the error that says never", async () => {
    const never = new StackError("REGISTRY_FENCED", "taken", { side: "registry", retry: "never" });
    const { done, startsMs, clock } = bench(() => Promise.reject(never));
    await expect(done).rejects.toBe(never);
    await clock.advance(10_000);
    expect(startsMs).toEqual([0]);
  });

  it("begins the backoff anew only after a run that lasted", async () => {
    const clock = fakeClock();
    const lives = [0, 0, 0, 1_000, 0];
    const startsMs: number[] = [];
    const stop = new AbortController();
    const done = keepAlive(
      async () => {
        startsMs.push(clock.monotonic());
        await sleep(clock, lives[startsMs.length - 1] ?? 100_000, stop.signal);
        throw new Error("no");
      },
      { clock, random: () => 1, signal: stop.signal, backoff, steadyMs: 1_000 },
    );
    await clock.advance(3_000);
    // Waits 100, 200, 400, then a run of 1 s, then 100 and 200 again.
    expect(startsMs).toEqual([0, 100, 300, 700, 1_800, 2_000]);
    stop.abort();
    await done;
  });

  it("does what says at once at once, but never in a busy loop", async () => {
    const again = new StackError("REGISTRY_WATCH_LOST", "compacted", { side: "registry", retry: "at-once" });
    const { clock, startsMs } = bench(() => Promise.reject(again));
    await clock.advance(700);
    expect(startsMs).toEqual([0, 0, 200, 600]);
  });

  it("returns when aborted, in a run or between two, without a word", async () => {
    const inRun = bench(
      (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("x")))),
    );
    inRun.stop.abort();
    await inRun.done;
    expect(inRun.transitions).toEqual([]);
    const between = bench(fail);
    await between.clock.advance(10);
    between.stop.abort();
    await between.done;
    expect(between.startsMs).toEqual([0]);
    expect(between.clock.pending()).toBe(0);
  });

  it("does not start at all when aborted before", async () => {
    const { startsMs, done } = bench(fail, { signal: AbortSignal.abort() });
    await done;
    expect(startsMs).toEqual([]);
  });

  it("does not believe a run that reports itself healthy after its end", async () => {
    const late: (() => void)[] = [];
    const { clock, transitions } = bench((_, healthy) => {
      late.push(healthy);
      return Promise.reject(new Error("no"));
    });
    await clock.advance(10);
    late[0]?.();
    expect(transitions.map((transition) => transition.state)).toEqual(["down"]);
  });
});

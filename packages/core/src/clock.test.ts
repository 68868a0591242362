import { describe, expect, it } from "vitest";
import { every, sleep, systemClock } from "./clock.ts";
import { withDeadline } from "./deadline.ts";
import { fakeClock } from "./testing/fake-clock.ts";

describe("sleep", () => {
  it("lasts its time, or until aborted", async () => {
    const clock = fakeClock();
    const stop = new AbortController();
    let woken = 0;
    void sleep(clock, 100, stop.signal).then(() => woken++);
    void sleep(clock, 200, stop.signal).then(() => woken++);
    await clock.advance(100);
    expect(woken).toBe(1);
    stop.abort();
    await clock.advance(0);
    expect(woken).toBe(2);
    expect(clock.pending()).toBe(0);
    await sleep(clock, 1_000, stop.signal);
  });
});

describe("every", () => {
  it("goes on until cancelled, also from inside", async () => {
    const clock = fakeClock();
    let calls = 0;
    const cancel = every(clock, 10, () => {
      if (++calls === 3) cancel();
    });
    await clock.advance(100);
    expect(calls).toBe(3);
    expect(clock.pending()).toBe(0);
  });
});

describe("withDeadline", () => {
  const options = (clock = fakeClock()) => ({ clock, ms: 50, what: "etcd put", side: "registry" as const });

  it("gives the result or the error of work that settles in time, and leaves no timer", async () => {
    const given = options();
    expect(await withDeadline(Promise.resolve(1), given)).toBe(1);
    await expect(withDeadline(Promise.reject(new Error("no")), given)).rejects.toThrow("no");
    expect(given.clock.pending()).toBe(0);
  });

  it("gives DEADLINE for work that never settles, and drops its late error", async () => {
    const given = options();
    let fail: (error: Error) => void = () => undefined;
    const late = withDeadline(
      new Promise((_, reject) => {
        fail = reject;
      }),
      given,
    );
    const seen = expect(late).rejects.toMatchObject({
      code: "DEADLINE",
      message: "etcd put did not finish within 50 ms",
    });
    await given.clock.advance(50);
    fail(new Error("too late"));
    await seen;
  });
});

describe("systemClock", () => {
  it("does not fire at once for a wait longer than a timer can be", async () => {
    let fired = false;
    const cancel = systemClock.after(2 ** 40, () => {
      fired = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 5));
    cancel();
    expect(fired).toBe(false);
  });
});

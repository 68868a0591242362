import { StackError } from "@smartstack/core";
import { fakeClock } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import { link } from "./link.ts";
import { watchLost } from "./mirror.ts";

describe("link", () => {
  it("counts from the last proof, whatever became of the connection since", async () => {
    const clock = fakeClock();
    const state = link(clock, "test", "here");
    expect(state.status()).not.toHaveProperty("stalenessMs");
    state.proved(7);
    await clock.advance(1_000);
    state.down(watchLost("gone"));
    await clock.advance(500);
    expect(state.status()).toMatchObject({ connected: false, stalenessMs: 1_500, revision: 7, lastError: "gone" });
    state.up({ session: "lease 1" });
    expect(state.status(), "a connection proves nothing").toMatchObject({ connected: true, stalenessMs: 1_500 });
    state.told("changes");
    expect(state.status(), "news may be late").toMatchObject({ stalenessMs: 1_500 });
    state.told("everything");
    expect(state.status()).toMatchObject({ stalenessMs: 0, sinceMs: 0, revision: 7, session: "lease 1" });
  });

  it("stays connected to a server that refuses", () => {
    const state = link(fakeClock(), "test", "here");
    state.told("everything");
    state.down(new StackError("REGISTRY_FAILED", "no", { side: "registry", retry: "after-backoff" }));
    expect(state.status()).toMatchObject({ connected: true, lastError: "no" });
  });

  it("counts what watchers were told, and writes by what became of them", async () => {
    const state = link(fakeClock(), "test", "here");
    state.told("everything");
    state.told("changes");
    await expect(state.writing(Promise.resolve(3))).resolves.toBe(3);
    await expect(state.writing(Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(state.status().counters).toEqual({ loads: 1, batches: 2, writes: 1, writeFailures: 1 });
  });
});

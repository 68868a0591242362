import { fakeClock } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import { hasOutsideInterface, watchNamespace } from "./namespace-guard.ts";
import { stopAction } from "./signals.ts";

describe("stopAction", () => {
  it("stops gracefully first, and at once when asked again", () => {
    expect(stopAction(undefined, 5_000)).toBe("stop");
    expect(stopAction(5_000, 6_000)).toBe("stopNow");
  });

  it("takes the same key press, delivered twice, for one", () => {
    expect(stopAction(5_000, 5_003)).toBe("none");
  });
});

describe("watchNamespace", () => {
  const address = { address: "a", netmask: "", family: "IPv4", mac: "", cidr: null } as const;
  const lo = [{ ...address, internal: true }];
  const eth0 = [{ ...address, internal: false }];

  it("knows loopback from the rest", () => {
    expect(hasOutsideInterface({ lo })).toBe(false);
    expect(hasOutsideInterface({})).toBe(false);
    expect(hasOutsideInterface({ lo, eth0 })).toBe(true);
  });

  it("calls once, when the last interface that was there is gone", async () => {
    const clock = fakeClock();
    let now: NodeJS.Dict<typeof eth0> = { lo, eth0 };
    let gone = 0;
    watchNamespace(
      clock,
      () => gone++,
      () => now as never,
    );
    await clock.advance(4_000);
    expect(gone).toBe(0);
    now = { lo } as never;
    await clock.advance(10_000);
    expect(gone).toBe(1);
    expect(clock.pending()).toBe(0);
  });

  it("takes a look that fails for no answer", async () => {
    const clock = fakeClock();
    let now: (() => NodeJS.Dict<typeof eth0>) | undefined = () => ({ lo, eth0 }) as never;
    let gone = 0;
    watchNamespace(
      clock,
      () => gone++,
      () => {
        if (now === undefined) throw new Error("no file descriptor left");
        return now() as never;
      },
    );
    now = undefined;
    await clock.advance(10_000);
    expect(gone).toBe(0);
    now = () => ({ lo }) as never;
    await clock.advance(4_000);
    expect(gone).toBe(1);
  });

  it("never calls in a namespace that had nothing but loopback from the start", async () => {
    const clock = fakeClock();
    let gone = 0;
    const stop = watchNamespace(
      clock,
      () => gone++,
      () => ({ lo }) as never,
    );
    await clock.advance(10_000);
    expect(gone).toBe(0);
    stop();
    expect(clock.pending()).toBe(0);
  });
});

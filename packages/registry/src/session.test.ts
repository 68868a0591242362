import { type NodeEntry, type Session, StackError } from "@smartstack/core";
import { fakeClock } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import { type Changes, contents } from "./contents.ts";
import { link } from "./link.ts";
import type { Copy, Subscriber } from "./mirror.ts";
import { claimedBy, type Holder, openSession, unreachable } from "./session.ts";

const owner: NodeEntry = { node: "n", boot: "b", since: 1, host: "h" };
const mine = { text: JSON.stringify(claimedBy(owner, { host: "h", port: 1 })), hold: "1" };

interface Opened {
  readonly session: Session;
  readonly clock: ReturnType<typeof fakeClock>;
  readonly told: () => number;
  readonly lastError: () => string | undefined;
  change(changes: Changes): void;
}

/** A session that has announced web/a, over a holder whose `more` may fail. */
function open(more: Partial<Holder> = {}): Opened {
  const clock = fakeClock();
  const held = contents(() => undefined);
  held.apply(new Map([["web/a", mine]]));
  let subscriber: Subscriber | undefined;
  const copy: Copy = {
    contents: held,
    subscribe(next) {
      subscriber = next;
      return () => undefined;
    },
  };
  const done = async (): Promise<void> => undefined;
  const holder: Holder = {
    ...{ hold: "1", write: done, erase: done, verify: done, withdraw: done, renew: done, stop: () => undefined },
    ...more,
  };
  const state = link(clock, "test", "here");
  const lost = new AbortController();
  const session = openSession({ owner, copy, holder, written: new Map(), lost, link: state, clock });
  let told = 0;
  session.onForeignChange(() => told++);
  const change = (changes: Changes): void => subscriber?.changed(changes, held.apply(changes));
  return { session, clock, told: () => told, lastError: () => state.status().lastError, change };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** What the end of a lease looks like. */
const allGone: Changes = new Map([
  ["web/a", undefined],
  [".nodes/n", undefined],
]);
const hangs = (): Promise<void> => new Promise(() => undefined);

describe("a session whose node entry changed", () => {
  it("is lost when nobody can say whether it is still ours", async () => {
    const { session, change, lastError } = open({ verify: () => Promise.reject(unreachable("txn", new Error("cut"))) });
    change(new Map([[".nodes/n", undefined]]));
    await settled();
    expect(session.lost.reason).toMatchObject({ code: "REGISTRY_SESSION_LOST" });
    expect(lastError()).toMatch(/nobody could say/);
  });

  it("is fenced when it is another's", async () => {
    const taken = new StackError("REGISTRY_FENCED", "taken over", { side: "registry", retry: "never" });
    const { session, change } = open({ verify: () => Promise.reject(taken) });
    change(new Map([[".nodes/n", undefined]]));
    await settled();
    expect(session.lost.reason).toBe(taken);
  });

  it("tells of entries that went along once it is known to be ours, and never when it is not", async () => {
    const ours = open();
    ours.change(allGone);
    expect(ours.told(), "not before it was asked").toBe(0);
    await settled();
    expect(ours.told()).toBe(1);
    expect(ours.session.lost.aborted).toBe(false);
    const lost = open({ verify: () => Promise.reject(unreachable("txn", new Error("cut"))) });
    lost.change(allGone);
    await settled();
    expect(lost.told()).toBe(0);
  });

  it("tells of other changes at once", () => {
    const { told, change } = open();
    change(new Map([["web/a", undefined]]));
    expect(told()).toBe(1);
  });
});

it.each(["keep", "withdraw"] as const)("a session closes within 2 s (%s), whatever its registry does", async (mode) => {
  const { session, clock, lastError } = open({ withdraw: hangs, renew: hangs });
  let closed = false;
  const closing = session.close(mode).then(() => {
    closed = true;
  });
  await clock.advance(2_000);
  expect(closed).toBe(true);
  await closing;
  expect(lastError()).toMatch(/did not finish within/);
});

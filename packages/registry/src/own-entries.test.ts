import { fakeClock } from "@smartstack/core/testing";
import { describe, expect, it } from "vitest";
import { type Changes, contents, type Held } from "./contents.ts";
import { ownEntries } from "./own-entries.ts";

const mine = (port: number): Held => ({ text: `{"host":"h","port":${port},"node":"n"}` });
const theirs: Held = { text: '{"host":"x","port":1,"node":"other"}' };

function setUp(present: Changes = new Map()) {
  const clock = fakeClock();
  const copy = contents(() => undefined);
  copy.apply(present);
  let overdue = 0;
  const own = ownEntries("n", { contents: copy, subscribe: () => () => undefined }, clock, () => overdue++);
  const see = (changes: Changes): boolean => {
    copy.apply(changes);
    return own.saw(changes);
  };
  return { clock, own, see, overdue: () => overdue };
}

const portsOf = (own: ReturnType<typeof setUp>["own"]): [string, number][] =>
  [...own.entries()].map(([key, { port }]) => [key, port]);

describe("ownEntries", () => {
  it("begins with what lies there for the node, and nobody else's", () => {
    const { own } = setUp(
      new Map([
        ["web/a", mine(1)],
        ["web/b", theirs],
      ]),
    );
    expect(portsOf(own)).toEqual([["web/a", 1]]);
  });

  it("shows an own write at once, and takes its echo for what it is", () => {
    const { own, see } = setUp();
    own.wrote("web/a", mine(1));
    own.wrote("web/a", mine(2));
    expect(portsOf(own)).toEqual([["web/a", 2]]);
    expect(see(new Map([["web/a", mine(1)]]))).toBe(false);
    expect(portsOf(own)).toEqual([["web/a", 2]]);
    expect(see(new Map([["web/a", mine(2)]]))).toBe(false);
  });

  it("takes the echo of an earlier write for what it is, though a later one left the same behind", () => {
    const { own, see } = setUp();
    for (const held of [mine(1), undefined, mine(2), undefined]) own.wrote("web/a", held);
    for (const held of [mine(1), undefined, mine(2), undefined]) {
      expect(see(new Map([["web/a", held]]))).toBe(false);
      expect(portsOf(own)).toEqual([]);
    }
    expect(see(new Map([["web/a", mine(3)]]))).toBe(true);
  });

  it("waits for no echo that the watch has passed over, nor for one that came before the answer", async () => {
    const { clock, own, see, overdue } = setUp();
    own.wrote("web/a", mine(1));
    own.wrote("web/a", undefined);
    expect(see(new Map([["web/a", undefined]]))).toBe(false);
    expect(see(new Map([["web/a", mine(9)]]))).toBe(true);
    own.wrote("web/b", mine(1));
    const ended = own.begins("web/b", mine(2));
    expect(see(new Map([["web/b", mine(2)]]))).toBe(false);
    own.wrote("web/b", mine(2));
    ended();
    expect(see(new Map([["web/b", mine(9)]]))).toBe(true);
    await clock.advance(10_000);
    expect(overdue()).toBe(0);
  });

  it("knows an echo that comes before the answer", () => {
    const { own, see } = setUp();
    const ended = own.begins("web/a", mine(1));
    expect(see(new Map([["web/a", mine(1)]]))).toBe(false);
    own.wrote("web/a", mine(1));
    ended();
    expect(see(new Map([["web/a", undefined]]))).toBe(true);
  });

  it("tells of foreign deletes and overwrites of own entries, and of nothing else", () => {
    const { own, see } = setUp(
      new Map([
        ["web/a", mine(1)],
        ["web/b", mine(2)],
      ]),
    );
    expect(see(new Map([["web/c", theirs]]))).toBe(false);
    expect(see(new Map([["web/a", undefined]]))).toBe(true);
    expect(see(new Map([["web/b", theirs]]))).toBe(true);
    expect(portsOf(own)).toEqual([]);
  });

  it("believes the watch when an own write never shows in it", async () => {
    const { clock, own, see, overdue } = setUp();
    own.wrote("web/a", mine(1));
    // A foreign write came right behind, and the watch only shows the last one.
    expect(see(new Map([["web/a", theirs]]))).toBe(false);
    await clock.advance(2_000);
    expect(overdue()).toBe(1);
    expect(portsOf(own)).toEqual([]);
  });
});

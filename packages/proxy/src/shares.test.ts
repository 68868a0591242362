import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ramp, type Sharer, shareOut } from "./shares.ts";
import { DEFAULT_SHARING, type SharingSpec } from "./snapshot.ts";

const sharer = (change: Partial<Sharer> = {}): Sharer => ({
  weight: 1,
  usable: true,
  backup: false,
  zone: undefined,
  subset: undefined,
  ...change,
});
const down = sharer({ usable: false });
const backup = sharer({ backup: true });
const shares = (sharers: readonly Sharer[], change: Partial<SharingSpec> = {}): number[] =>
  shareOut(
    sharers.map((each) => ({ ...each })),
    { ...DEFAULT_SHARING, ...change },
  ).map((share) => Number(share.toFixed(6)));

it("leaves weights as they are where nothing else is asked for", () => {
  expect(shares([sharer({ weight: 3 }), down, sharer({ weight: 0.5 })])).toEqual([3, 0, 0.5]);
});

describe("backups", () => {
  it("wait while anything else is usable", () => expect(shares([backup, sharer(), down])).toEqual([0, 1, 0]));

  it("stand in, the first alone", () => expect(shares([down, backup, backup])).toEqual([0, 1, 0]));

  it("stand in, all of them where that is asked for", () => {
    expect(shares([down, backup, sharer({ backup: true, weight: 2 })], { backups: "all" })).toEqual([0, 1, 2]);
  });

  it("the first that is usable", () => {
    expect(shares([sharer({ backup: true, usable: false }), backup])).toEqual([0, 1]);
  });
});

describe("zones", () => {
  const zone = "a";
  const here = sharer({ zone: "a" });
  const there = sharer({ zone: "b" });
  const hereDown = sharer({ zone: "a", usable: false });
  const thereDown = sharer({ zone: "b", usable: false });

  it.each([
    ["all at home while it is whole", [here, here, there], [1.5, 1.5, 0]],
    ["all at home while a quarter of it is out", [here, here, here, hereDown, there], [4 / 3, 4 / 3, 4 / 3, 0, 0]],
    ["what is missing of it elsewhere", [here, hereDown, there, there], [2.1, 0, 0.45, 0.45]],
    ["all elsewhere when home is out", [hereDown, there, sharer()], [0, 1, 1]],
    ["all at home when there is nothing else", [here, hereDown, thereDown], [1, 0, 0]],
    [
      "by health where both are weak",
      [here, hereDown, hereDown, hereDown, there, thereDown, thereDown, thereDown],
      [1, 0, 0, 0, 1, 0, 0, 0],
    ],
  ] as const)("give %s", (_, sharers, expected) => {
    expect(shares(sharers, { zone })).toEqual(expected.map((share) => Number(share.toFixed(6))));
  });

  it("do not make backups of home better than others elsewhere", () => {
    expect(shares([there, sharer({ zone: "a", backup: true })], { zone })).toEqual([1, 0]);
  });
});

describe("subsets", () => {
  const canary = sharer({ subset: "canary" });
  const subsets = [{ name: "canary", share: 5 }];

  it("get their percentage, however many they are", () => {
    expect(shares([canary, sharer(), sharer(), sharer({ weight: 2 })], { subsets })).toEqual([
      0.25, 1.1875, 1.1875, 2.375,
    ]);
    expect(shares([canary, canary, sharer()], { subsets })).toEqual([0.075, 0.075, 2.85]);
  });

  it("leave it to the others when nobody is there, and take all when nobody else is", () => {
    expect(shares([sharer({ subset: "canary", usable: false }), sharer()], { subsets })).toEqual([0, 1]);
    expect(shares([canary, down], { subsets })).toEqual([1, 0]);
  });

  it("of no percent get nothing, unless they are all there is", () => {
    const none = [{ name: "canary", share: 0 }];
    expect(shares([canary, sharer()], { subsets: none })).toEqual([0, 2]);
    expect(shares([canary, down], { subsets: none })).toEqual([1, 0]);
  });

  it("are divided among zones each for itself", () => {
    const all = [sharer({ subset: "canary", zone: "b" }), sharer({ zone: "a" }), sharer({ zone: "b" })];
    expect(shares(all, { subsets, zone: "a" })).toEqual([0.15, 2.85, 0]);
  });
});

it("always leaves somebody, gives nothing to who is out, and divides all there is", () => {
  const any = fc.record({
    weight: fc.integer({ min: 1, max: 256 }),
    usable: fc.boolean(),
    backup: fc.boolean(),
    zone: fc.constantFrom("a", "b", undefined),
    subset: fc.constantFrom("x", "y", undefined),
  });
  const sharing = fc.record({
    zone: fc.constantFrom("a", "c"),
    backups: fc.constantFrom("all" as const, "first" as const),
    subsets: fc.constantFrom(
      [],
      [{ name: "x", share: 5 }],
      [
        { name: "x", share: 60 },
        { name: "y", share: 40 },
      ],
    ),
    slowStartMs: fc.constant(0),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 12 }), sharing, (sharers, spec) => {
      const given = shareOut(sharers, spec);
      for (const [n, share] of given.entries()) {
        expect(share).toBeGreaterThanOrEqual(0);
        if (sharers[n]?.usable !== true) expect(share).toBe(0);
      }
      const regular = sharers.filter(({ usable, backup: standby }) => usable && !standby);
      const total = given.reduce((sum, share) => sum + share, 0);
      if (regular.length > 0) expect(total).toBeCloseTo(regular.reduce((sum, { weight }) => sum + weight, 0));
      else expect(total > 0).toBe(sharers.some(({ usable }) => usable));
    }),
  );
});

it("a slow start grows from a tenth in a straight line", () => {
  expect([0, 500, 5_000, 9_999, 10_000].map((ms) => ramp(ms, 10_000))).toEqual([0.1, 0.1, 0.5, 0.9999, 1]);
  expect(ramp(0, 0)).toBe(1);
});

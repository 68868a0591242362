import { describe, expect, it } from "vitest";
import { didYouMean } from "./did-you-mean.ts";
import { duration, durationMs, formatDuration, port } from "./units.ts";

describe("durationMs", () => {
  it.each([
    [2, 2_000],
    [0.25, 250],
    [1.005, 1_005],
    ["2", 2_000],
    ["250ms", 250],
    ["1.5s", 1_500],
    [" 5 m ", 300_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["0", 0],
  ])("%j is %d ms", (value, ms) => {
    expect(durationMs(value)).toBe(ms);
  });

  it.each(["", "s", "-1s", "1 s s", "1e3", "1,5s", "2 weeks", Number.NaN, Number.POSITIVE_INFINITY])(
    "%j is no time",
    (value) => {
      expect(durationMs(value)).toBeUndefined();
    },
  );
});

describe("duration", () => {
  it("holds its bounds, and says them", () => {
    const schema = duration({ minMs: 3_000, maxMs: 60_000 });
    expect(schema.parse("3s")).toBe(3_000);
    expect(schema.parse(60)).toBe(60_000);
    for (const bad of ["2999ms", 61, -5]) expect(schema.safeParse(bad).error?.message).toContain("from 3s to 1m");
    expect(schema.safeParse("soon").error?.message).toContain("expected a time");
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0ms"],
    [250, "250ms"],
    [1_500, "1500ms"],
    [2_000, "2s"],
    [90_000, "90s"],
    [300_000, "5m"],
    [86_400_000, "1d"],
  ])("%d is %s, and reads back", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
    expect(durationMs(text)).toBe(ms);
  });
});

describe("port", () => {
  it.each([0, 65_536, 1.5, "80"])("refuses %j", (value) => {
    expect(port.safeParse(value).success).toBe(false);
  });
});

describe("didYouMean", () => {
  it.each([
    ["lisen", "listen"],
    ["registery", "registry"],
    ["Hosts", "hosts"],
    ["prot", "port"],
    ["ttl", "ttl"],
  ])("%s → %s", (word, expected) => {
    expect(didYouMean(word, ["listen", "registry", "hosts", "port", "ttl"])).toBe(expected);
  });

  it("is silent when nothing is near", () => {
    expect(didYouMean("xyz", ["listen", "port"])).toBeUndefined();
    expect(didYouMean("listen", [])).toBeUndefined();
  });
});

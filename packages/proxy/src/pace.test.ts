import { describe, expect, it } from "vitest";
import { noteLatency, nothingSeen, type Seen } from "./outlier.ts";
import { dragOf } from "./pace.ts";

function seenAt(ms: number, samples = 50): Seen {
  const seen = nothingSeen();
  for (let n = 0; n < samples; n++) noteLatency(seen, ms);
  return seen;
}

describe("dragOf", () => {
  it("is how many times as slow as the others a backend is, up to 100", () => {
    expect(dragOf(seenAt(100), 5, 1)).toBe(20);
    expect(dragOf(seenAt(15), 5, 1)).toBe(3);
    expect(dragOf(seenAt(60_000), 5, 1)).toBe(100);
  });

  it("is 1 for what machines and moments differ by, and where nobody compares", () => {
    expect(dragOf(seenAt(14), 5, 1)).toBe(1);
    expect(dragOf(seenAt(5), 0.2, 1)).toBe(1);
    expect(dragOf(seenAt(6), 0.2, 1)).toBe(30);
    expect(dragOf(seenAt(100), undefined, 20)).toBe(1);
  });

  it("takes ten answers to be slow, and fewer for a slow one measured anew", () => {
    expect(dragOf(seenAt(100, 9), 5, 1)).toBe(1);
    expect(dragOf(seenAt(5, 2), 5, 20)).toBe(20);
    expect(dragOf(seenAt(5, 3), 5, 20)).toBe(1);
  });
});

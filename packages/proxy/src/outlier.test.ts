import { describe, expect, it } from "vitest";
import {
  DEFAULT_OUTLIER,
  ejectionMs,
  failing,
  lagging,
  mayEject,
  noteAsked,
  noteFailure,
  noteLatency,
  noteReturn,
  nothingSeen,
  type Seen,
  silent,
  usualBeside,
  usualTimes,
} from "./outlier.ts";

const rules = DEFAULT_OUTLIER;
/** The others did well all the while. */
const well = { good: 1_000, bad: 0 };

/** Asked so often since `nowMs`, of which the last so many failed. */
function seenOf(asked: number, failures: number, nowMs = 0): Seen {
  const seen = nothingSeen();
  for (let n = 0; n < asked; n++) {
    noteAsked(seen, 1, true, nowMs, 0);
    if (n >= asked - failures) noteFailure(seen);
  }
  return seen;
}

function pacedOf(ms: number, samples = 50): Seen {
  const seen = nothingSeen();
  for (let n = 0; n < samples; n++) noteLatency(seen, ms);
  return seen;
}

describe("failures", () => {
  const good = [seenOf(100, 0), seenOf(100, 0)];

  it("in a row make an outlier, a good answer between them does not", () => {
    expect(failing(seenOf(10, 4), () => good, well, rules, 0)).toBeUndefined();
    expect(failing(seenOf(10, 5), () => good, well, rules, 0)).toBe("5 failures in a row");
  });

  it("make an outlier by their part of a window's requests, once there are enough", () => {
    const half = (asked: number): Seen => {
      const seen = nothingSeen();
      for (let n = 0; n < asked; n++) {
        noteAsked(seen, 1, true, 0, 0);
        if (n % 2 === 0) noteFailure(seen);
        else seen.streak = 0;
      }
      return seen;
    };
    expect(failing(half(19), () => good, well, rules, 0)).toBeUndefined();
    expect(failing(half(20), () => good, well, rules, 0)).toBe("10 of 20 requests failed");
  });

  it("make none of who alone was asked: it may be what is asked", () => {
    expect(failing(seenOf(20, 20), () => [seenOf(2, 0), seenOf(2, 0)], well, rules, 0)).toBeUndefined();
  });

  it("that all have make none of them one", () => {
    const bad = [seenOf(20, 20), seenOf(20, 18)];
    expect(failing(seenOf(20, 20), () => bad, { good: 2, bad: 58 }, rules, 0)).toBeUndefined();
    expect(
      failing(seenOf(20, 20), () => [seenOf(20, 20), seenOf(200, 0)], { good: 200, bad: 20 }, rules, 0),
    ).toBeDefined();
    // An hour of good answers before does not make what fails everywhere now this one's fault.
    const now = seenOf(1_000, 6);
    Object.assign(now, { goodBefore: 5_000, badBefore: 0 });
    expect(failing(now, () => [seenOf(1_000, 6)], { good: 5_000, bad: 12 }, rules, 0)).toBeUndefined();
  });

  it("in a row by chance, where a part fails everywhere, make none", () => {
    const traffic = { good: 800, bad: 200 };
    expect(failing(seenOf(100, 5), () => [seenOf(900, 180)], traffic, rules, 0)).toBeUndefined();
    expect(failing(seenOf(100, 15), () => [seenOf(900, 180)], traffic, rules, 0)).toBeDefined();
  });

  it("of another time do not count, its own or its peers'", () => {
    const seen = seenOf(40, 4);
    seen.streak = 0;
    noteAsked(seen, 1, true, 10_001, 0);
    noteFailure(seen);
    expect(seen).toMatchObject({ failures: 1, askedBefore: 40 });
    const peer = seenOf(20, 20);
    expect(failing(seenOf(20, 20, 10_001), () => [peer], well, rules, 10_001)).toBeUndefined();
    for (let n = 0; n < 5; n++) noteAsked(peer, 1, true, 10_001, 0);
    expect(failing(seenOf(20, 20, 10_001), () => [peer], well, rules, 10_001)).toBeDefined();
  });
});

describe("times", () => {
  it("many times those of the others, look after look, make an outlier, if anyone would feel it", () => {
    const looks = (seen: Seen, usual: number, count = 3): string | undefined => {
      let last: string | undefined;
      for (let n = 0; n < count; n++) {
        seen.samples++;
        last = lagging(seen, usual, rules);
        // A look at which nothing is new is none.
        lagging(seen, usual, rules);
      }
      return last;
    };
    expect(looks(pacedOf(100), 5)).toBe("answers in 100 ms, the others in 5.0");
    expect(looks(pacedOf(100), 5, 2)).toBeUndefined();
    expect(looks(pacedOf(100, 6), 5)).toBeUndefined();
    expect(looks(pacedOf(100), 15)).toBeUndefined();
    expect(looks(pacedOf(40), 0.5)).toBeUndefined();
    const better = pacedOf(100);
    looks(better, 5, 2);
    expect(looks(better, 50, 1)).toBeUndefined();
    expect(looks(better, 5, 2)).toBeUndefined();
  });

  it("are compared with the median of those that were asked often enough", () => {
    const usual = (own: Seen, ...others: readonly Seen[]) => usualBeside(own, usualTimes([own, ...others]));
    const three = [pacedOf(5), pacedOf(7), pacedOf(900)];
    for (const own of [pacedOf(1), pacedOf(6), pacedOf(7), pacedOf(8), pacedOf(1_000), pacedOf(1, 9)])
      expect(usual(own, ...three)).toBeCloseTo(7);
    expect(usual(pacedOf(5), pacedOf(7))).toBeCloseTo(7);
    expect(usual(pacedOf(7), pacedOf(5), pacedOf(9))).toBeCloseTo(9);
    expect(usual(pacedOf(7), pacedOf(5, 9))).toBeUndefined();
    expect(usual(pacedOf(7))).toBeUndefined();
  });

  it("are means of logarithms: a few slow answers change little", () => {
    const seen = nothingSeen();
    for (let n = 0; n < 1_000; n++) noteLatency(seen, n % 20 === 0 ? 1_000 : 5);
    expect(Math.exp(seen.meanLog)).toBeLessThan(10);
    for (let n = 0; n < 80; n++) noteLatency(seen, 100);
    expect(Math.exp(seen.meanLog)).toBeGreaterThan(90);
    const fresh = nothingSeen();
    for (let n = 0; n < 20; n++) noteLatency(fresh, n === 0 ? 1_000 : 5);
    expect(Math.exp(fresh.meanLog)).toBeLessThan(8);
  });

  it("without any answer count when several wait long, and not for requests that were not whole", () => {
    const waiting = (whole: boolean): Seen => {
      const seen = pacedOf(5);
      for (let active = 1; active <= 3; active++) noteAsked(seen, active, whole, 1_000, 0);
      return seen;
    };
    const ask = (whole: boolean, active = 3, usual = 5, answers = 20, nowMs = 4_001): string | undefined =>
      silent({ seen: waiting(whole), active }, usual, answers, rules, nowMs);
    expect(ask(true)).toBe("no answer for 3.0 s, 3 wait");
    expect(ask(true, 3, 5, 20, 4_000)).toBeUndefined();
    // Their clients have left.
    expect(ask(true, 2)).toBeUndefined();
    expect(ask(false)).toBeUndefined();
    // Everybody is slow here, or next to nothing is asked.
    expect(ask(true, 3, 1_000)).toBeUndefined();
    expect(ask(true, 3, 5, 19)).toBeUndefined();
  });

  it("without any answer begin anew when nothing ran meanwhile", () => {
    const seen = pacedOf(5);
    for (let active = 1; active <= 3; active++) noteAsked(seen, active, true, 0, 0);
    noteAsked(seen, 1, true, 60_000, 0);
    for (let active = 2; active <= 4; active++) noteAsked(seen, active, true, 60_000, 0);
    expect(seen).toMatchObject({ unanswered: 4, silentFromMs: 60_000 });
  });
});

describe("ejections", () => {
  it("last longer each time, up to their limit, and are forgotten", () => {
    const seen = nothingSeen();
    let nowMs = 0;
    const again = (restMs: number): number => {
      nowMs += restMs;
      const ms = ejectionMs(seen, rules, nowMs);
      nowMs += ms;
      noteReturn(seen, rules, nowMs, true);
      return ms;
    };
    expect([0, 1_000, 1_000, 1_000].map(again)).toEqual([5_000, 10_000, 20_000, 40_000]);
    expect(again(80_001)).toBe(5_000);
    for (let n = 0; n < 20; n++) again(0);
    expect(again(0)).toBe(rules.ejectMsMax);
  });

  it("leave one chance on return", () => {
    const seen = seenOf(10, 5);
    noteReturn(seen, rules, 0, true);
    noteAsked(seen, 1, true, 0, 0);
    noteFailure(seen);
    expect(failing(seen, () => [seenOf(10, 0)], well, rules, 0)).toBeDefined();
  });

  it("end at their ceiling, and never take the only one", () => {
    expect(mayEject(1, 0, rules)).toBe(false);
    expect([mayEject(2, 0, rules), mayEject(2, 1, rules)]).toEqual([true, false]);
    expect([mayEject(5, 1, rules), mayEject(5, 2, rules)]).toEqual([true, false]);
  });
});

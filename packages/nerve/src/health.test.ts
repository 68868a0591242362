import { describe, expect, test } from "vitest";
import { damp, type Health, NO_FLIPS, observe, together, UNPROBED } from "./health.ts";

function run(results: string, rise: number, fall: number): string {
  let health = UNPROBED;
  return [...results]
    .map((result) => {
      health = observe(health, { passed: result === "T", reason: result }, { rise, fall });
      return { starting: "s", up: "U", down: "D" }[health.state];
    })
    .join("");
}

test.each([
  // A first success decides at once, as in Airbnb's nerve; the two sequences after it were measured on it.
  ["T", 3, 2, "U"],
  ["TFFTTT", 3, 2, "UUDDDU"],
  ["TFFTFFFT", 1, 3, "UUUUUUDU"],
  // A first failure concludes nothing.
  ["FT", 1, 2, "sU"],
  ["FF", 1, 2, "sD"],
  ["FTTT", 3, 2, "sssU"],
  ["FFTTFTTT", 3, 2, "sDDDDDDU"],
  ["TFTFT", 1, 2, "UUUUU"],
  ["FFF", 1, 3, "ssD"],
])("%s with rise %i, fall %i: %s", (results, rise, fall, states) => {
  expect(run(results, rise, fall)).toBe(states);
});

test("several checks: one down is down, one not concluded is not concluded", () => {
  const up = observe(UNPROBED, { passed: true, reason: "fine" }, { rise: 1, fall: 1 });
  const down = observe(UNPROBED, { passed: false, reason: "refused" }, { rise: 1, fall: 1 });
  expect(together([])).toEqual({ state: "up", reason: "not checked" });
  expect(together([up, up]).state).toBe("up");
  expect(together([up, UNPROBED]).state).toBe("starting");
  expect(together([UNPROBED, down])).toEqual({ state: "down", reason: "refused" });
});

describe("damping", () => {
  const state = (which: Health["state"]): Health => ({ ...UNPROBED, state: which, reason: which });

  /** One letter a second: what it is by rise and fall, and what is shown. */
  function shown(states: string, limit: number): string {
    let flips = NO_FLIPS;
    return [...states]
      .map((letter, second) => {
        const health = state(({ s: "starting", U: "up", D: "down" } as const)[letter as "s" | "U" | "D"]);
        const damped = damp(flips, health, limit, second * 1_000);
        flips = damped.flips;
        return { starting: "s", up: "U", down: "D" }[damped.health.state];
      })
      .join("");
  }

  test.each([
    // The first verdict is no change.
    ["ssUUU", 1, "ssUUU"],
    ["UDU", 2, "UDU"],
    ["UDUD", 2, "UDUD"],
    // The third change within a minute is one too many; what is down shows at once all the same.
    ["UDUDU", 2, "UDUDD"],
    ["UDUDUDU", 2, "UDUDDDD"],
    ["UDU", 1, "UDD"],
    ["DU", 1, "DU"],
    ["DUDU", 1, "DUDD"],
  ])("%s, at most %i: %s", (states, limit, expected) => {
    expect(shown(states, limit)).toBe(expected);
  });

  test("it comes up again as soon as no minute holds too many changes any more", () => {
    const flapping = "UDUDU";
    expect(shown(flapping + "U".repeat(60), 2)).toBe(`UDUDD${"D".repeat(57)}${"U".repeat(3)}`);
  });

  test("as long as it flaps it is held", () => {
    expect(shown("UD".repeat(100), 3).slice(6)).toMatch(/^D+$/);
  });

  test("changes that are rare enough are all believed", () => {
    const slow = `${"U".repeat(31)}${"D".repeat(31)}`.repeat(5);
    expect(shown(slow, 2)).toBe(slow);
  });

  test("says until when, and remembers no more than it needs", () => {
    let flips = NO_FLIPS;
    let damped = damp(flips, state("up"), 2, 0);
    for (let second = 1; second <= 1_000; second++) {
      flips = damped.flips;
      damped = damp(flips, state(second % 2 === 0 ? "up" : "down"), 2, second * 1_000);
    }
    expect(damped.flips.atMs).toEqual([998_000, 999_000, 1_000_000]);
    expect(damped.heldForMs).toBe(58_000);
    expect(damped.health.reason).toMatch(/^flapping, held down: more than 2 changes within a minute; last: up$/);
  });
});

test("what was answered is kept with the reason, and goes with it", () => {
  const thresholds = { rise: 1, fall: 1 };
  const failed = observe(UNPROBED, { passed: false, reason: "status 503", output: "no database" }, thresholds);
  expect(failed).toMatchObject({ reason: "status 503", output: "no database" });
  expect(observe(failed, { passed: true, reason: "status 200" }, thresholds).output).toBeUndefined();
});

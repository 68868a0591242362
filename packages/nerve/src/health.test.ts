import { expect, test } from "vitest";
import { observe, together, UNPROBED } from "./health.ts";

function run(results: string, rise: number, fall: number): string {
  let health = UNPROBED;
  return [...results]
    .map((result) => {
      health = observe(health, result === "T", result, { rise, fall });
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
  const up = observe(UNPROBED, true, "fine", { rise: 1, fall: 1 });
  const down = observe(UNPROBED, false, "refused", { rise: 1, fall: 1 });
  expect(together([])).toEqual({ state: "up", reason: "not checked" });
  expect(together([up, up]).state).toBe("up");
  expect(together([up, UNPROBED]).state).toBe("starting");
  expect(together([UNPROBED, down])).toEqual({ state: "down", reason: "refused" });
});

import { expect, test } from "vitest";
import { signalNumber } from "./stop-signal.ts";

test.each([
  [undefined, 15],
  ["", 15],
  ["SIGTERM", 15],
  ["term", 15],
  ["SIGKILL", 9],
  ["SIGQUIT", 3],
  ["3", 3],
  ["SIGRTMIN+3", 37],
  ["RTMAX-1", 63],
  ["SIGNONSENSE", 15],
])("%s is %i", (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

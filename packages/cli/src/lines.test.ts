import { expect, test } from "vitest";
import { plain, printLines, wrap } from "./lines.ts";

const LONG = "one two three four five six seven eight nine ten";

test("what is not for a terminal is left whole", () => {
  expect(wrap(LONG, undefined)).toEqual([LONG]);
  expect(wrap(LONG, 20)).toEqual([LONG]);
  expect(wrap(LONG, 80)).toEqual([LONG]);
});

test("a long line goes on below, further in than it began", () => {
  expect(wrap(`  ${LONG}`, 40)).toEqual(["  one two three four five six seven", "      eight nine ten"]);
  expect(wrap(LONG, 40).every((line) => line.length <= 40)).toBe(true);
});

test("behind a label it goes on below what the label stands before", () => {
  expect(wrap(`  check  ${LONG}`, 40)).toEqual([
    "  check  one two three four five six",
    "         seven eight nine ten",
  ]);
});

test("a word that fits on no line stays whole, and nothing is lost", () => {
  const word = "x".repeat(60);
  expect(wrap(`a ${word} b`, 40)).toEqual(["a", `    ${word}`, "    b"]);
  expect(wrap(word, 40)).toEqual([word]);
});

test("nothing that is printed steers the terminal", () => {
  expect(plain("a\u001b[2Jb\r\nc\u009b")).toBe("a\ufffd[2Jb\ufffd\ufffdc\ufffd");
  const out: string[] = [];
  const terminal = { print: (line: string) => out.push(line), error: () => {}, clear: () => {}, columns: 40, env: {} };
  printLines(terminal, ["a\u0007", LONG]);
  expect(out).toEqual(["a\ufffd", "one two three four five six seven eight", "    nine ten"]);
});

import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CHECKS, type CheckType, CONFIG_CHECKS } from "../packages/nerve/src/checks/index.ts";

const all = Object.keys(CHECKS) as CheckType[];

test.each(all.filter((type) => CHECKS[type].active))("the check %s has run the contract of every check", (type) => {
  const file = new URL(`contract/checks.${type}.test.ts`, import.meta.url);
  expect(existsSync(file)).toBe(true);
  expect(readFileSync(file, "utf8")).toMatch(/describeCheck\(\{[^}]*type: "\w+"|the contract of exec/);
});

test("every kind is explained where kinds are added", () => {
  const readme = readFileSync(new URL("../packages/nerve/src/checks/README.md", import.meta.url), "utf8");
  expect(all.filter((type) => !readme.includes(`\`${type}\``))).toEqual([]);
});

test("what Docker alone can tell is not for a configuration, everything else is", () => {
  expect(all.filter((type) => !CONFIG_CHECKS.includes(type))).toEqual(["docker"]);
});

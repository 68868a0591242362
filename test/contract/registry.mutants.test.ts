import { describe, expect, it } from "vitest";
import { REGISTRY_CASES } from "./registry.suite.ts";
import { NEEDS } from "./registry-cases-disruption.ts";
import { memoryHarness } from "./registry-memory-harness.ts";
import { MUTANTS } from "./registry-mutants.ts";
import { runTrials } from "./registry-trials.ts";

/** Patience of the cases, milliseconds: what the reference does takes a fraction of it. */
const WAIT_MS = 1_000;
/** These it does not pass without a mutant either; the other drivers do. */
const NOT_IN_PROCESS: readonly string[] = NEEDS.ownerProcess;

describe("the registry suite notices a registry that", () => {
  it.concurrent.each(Object.entries(MUTANTS))("%s", { timeout: 60_000 }, async (mutant, { fails }) => {
    const trials = fails
      .filter((name) => !NOT_IN_PROCESS.includes(name))
      .map((name) => {
        const one = REGISTRY_CASES.find((candidate) => candidate.name === name) ?? expect.fail(`no such case: ${name}`);
        return { one, mutant };
      });
    expect(await runTrials(trials, memoryHarness({ waitMs: WAIT_MS }), new Set())).toEqual([]);
  });

  it("is broken in any way at all: each case is meant to catch a mutant", () => {
    const meant = new Set(Object.values(MUTANTS).flatMap(({ fails }) => fails));
    expect(REGISTRY_CASES.map(({ name }) => name).filter((name) => !meant.has(name))).toEqual([]);
    console.log(`${REGISTRY_CASES.length} cases, ${Object.keys(MUTANTS).length} mutants`);
  });
});

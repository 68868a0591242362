import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { REGISTRY_CASES, runCase } from "./registry.suite.ts";
import { NEEDS } from "./registry-cases-disruption.ts";
import { memoryHarness } from "./registry-memory-harness.ts";
import { MUTANTS } from "./registry-mutants.ts";

const NOT_IN_PROCESS: readonly string[] = [...NEEDS.ownerProcess, ...NEEDS.freeze];

/** Patience of the cases, milliseconds: what the reference does takes a fraction of it. */
const WAIT_MS = 1_000;
/** A case that a mutant hangs has failed as well. */
const CASE_MS_MAX = 10_000;

describe("the registry suite notices a registry that", () => {
  it.each(Object.entries(MUTANTS))("%s", { timeout: 60_000 }, async (_, wrap) => {
    const noticed: string[] = [];
    for (const one of REGISTRY_CASES.filter(({ name }) => !NOT_IN_PROCESS.includes(name))) {
      const run = runCase(one, memoryHarness({ waitMs: WAIT_MS, wrap }));
      const outcome = await Promise.race([
        run.then(
          () => "passed",
          () => "failed",
        ),
        pause(CASE_MS_MAX, "hung", { ref: false }),
      ]);
      if (outcome === "passed") continue;
      noticed.push(one.name);
      break;
    }
    expect(noticed, "no case failed").not.toEqual([]);
  });

  it("is not broken at all, by passing", { timeout: 60_000 }, async () => {
    for (const one of REGISTRY_CASES.filter(({ name }) => !NOT_IN_PROCESS.includes(name))) {
      await runCase(one, memoryHarness({ waitMs: WAIT_MS, wrap: (registry) => ({ ...registry }) }));
    }
  });
});

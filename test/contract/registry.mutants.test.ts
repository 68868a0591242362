import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { REGISTRY_CASES, runCase } from "./registry.suite.ts";
import { NEEDS } from "./registry-cases-disruption.ts";
import { memoryHarness } from "./registry-memory-harness.ts";
import { MUTANTS } from "./registry-mutants.ts";

/** These need a process or a server of their own: registry.mutants.etcd.test.ts has mutants for them. */
const NOT_IN_PROCESS: readonly string[] = [...NEEDS.ownerProcess, ...NEEDS.freeze];

/** Patience of the cases, milliseconds: what the reference does takes a fraction of it. */
const WAIT_MS = 1_000;
/** A case that a mutant hangs has failed as well. */
const CASE_MS_MAX = 10_000;

const IN_PROCESS = REGISTRY_CASES.filter(({ name }) => !NOT_IN_PROCESS.includes(name));

describe("the registry suite notices a registry that", () => {
  it.concurrent.each(Object.entries(MUTANTS))("%s", { timeout: 60_000 }, async (_, mutant) => {
    const outcomes = mutant.fails.map(async (name) => {
      const one = REGISTRY_CASES.find((candidate) => candidate.name === name);
      if (one === undefined) throw new Error(`no such case: ${name}`);
      const run = runCase(one, memoryHarness({ waitMs: WAIT_MS, mutant }));
      return Promise.race([
        run.then(
          () => `passed: ${name}`,
          () => "failed",
        ),
        pause(CASE_MS_MAX, "failed", { ref: false }),
      ]);
    });
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["failed"]));
  });

  it("is not broken at all, by passing", { timeout: 60_000 }, async () => {
    for (const one of IN_PROCESS) await runCase(one, memoryHarness());
  });

  it("is broken in any way at all: no case passes whatever a registry does", () => {
    const noticed = new Set(Object.values(MUTANTS).flatMap(({ fails }) => fails));
    expect(IN_PROCESS.map(({ name }) => name).filter((name) => !noticed.has(name))).toEqual([]);
    console.log(`${REGISTRY_CASES.length} cases, ${Object.keys(MUTANTS).length} mutants of the reference driver`);
  });
});

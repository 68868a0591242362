import { seededRandom } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RegistryCase, runCase } from "./registry-case.ts";
import { DISTURBING, disruptionCases } from "./registry-cases-disruption.ts";
import { documentCases } from "./registry-cases-documents.ts";
import { followingCases } from "./registry-cases-following.ts";
import { foreignCases } from "./registry-cases-foreign.ts";
import { lifeCases } from "./registry-cases-life.ts";
import { ownershipCases } from "./registry-cases-ownership.ts";
import { sessionCases } from "./registry-cases-session.ts";
import { watchCases } from "./registry-cases-watch.ts";
import type { RegistryHarness } from "./registry-harness.ts";
import { runTrials, type Trial, trialsOf } from "./registry-trials.ts";

/** Everything a kind of registry must do, each case on a prefix of its own. */
export const REGISTRY_CASES: readonly RegistryCase[] = [
  ...watchCases,
  ...followingCases,
  ...documentCases,
  ...foreignCases,
  ...sessionCases,
  ...ownershipCases,
  ...lifeCases,
  ...disruptionCases,
];

/** How many mutants are planted in each driver; all of them in a soak. */
const TRIALS = process.env.MUTANTS === "all" ? Number.POSITIVE_INFINITY : 5;
const SEED = Number(process.env.MUTANTS_SEED ?? 4);

/** The longest a case may take, milliseconds. */
const CASE_MS_MAX = 45_000;
const TRIALS_MS_MAX = 900_000;

/**
 * Runs the conformance suite against a kind of registry, and plants mutants in it, each before the case that is meant to
 * catch it. What a kind cannot do is named in `skip`, with the reason, which
 * the test run shows.
 */
export function registryContract(
  name: string,
  start: () => Promise<RegistryHarness>,
  options: {
    readonly skip?: Readonly<Record<string, string>>;
    /** Cases that this kind cannot be asked, as things are, and for what they ask. */
    readonly lacks?: { readonly what: string; readonly cases: readonly string[] };
  } = {},
): void {
  const { skip = {}, lacks = { what: "nothing", cases: [] } } = options;
  const applying = REGISTRY_CASES.filter(({ name: title }) => !lacks.cases.includes(title));
  for (const unknown of [...Object.keys(skip), ...lacks.cases].filter(
    (title) => !REGISTRY_CASES.some((one) => one.name === title),
  )) {
    throw new Error(`${name} skips a case that does not exist: ${unknown}`);
  }
  describe(`registry ${name}`, () => {
    let harness: RegistryHarness;
    beforeAll(async () => {
      harness = await start();
    });
    afterAll(async () => {
      await harness?.stop();
    });
    const left = REGISTRY_CASES.length - applying.length;
    if (left > 0) it(`left out: ${left} of ${REGISTRY_CASES.length} cases, for ${lacks.what}`, () => undefined);
    for (const one of applying) {
      const reason = skip[one.name];
      if (reason === undefined) it(one.name, () => runCase(one, harness), CASE_MS_MAX);
      else it(`does not apply: ${one.name} (${reason})`, () => undefined);
    }
    it(
      "is shown to be wrong when it is",
      async () => {
        const cases = applying.filter((one) => skip[one.name] === undefined);
        const all = trialsOf(cases);
        const trials = sampleOf(all);
        const escaped = await runTrials(trials, harness, DISTURBING);
        const caught = trials.length - escaped.length;
        console.log(
          `${name}: ${cases.length} cases, ${all.length} with a mutant; planted ${trials.length}, caught ${caught}`,
        );
        expect(escaped, `MUTANTS_SEED=${SEED}`).toEqual([]);
      },
      TRIALS_MS_MAX,
    );
  });
}

function sampleOf(trials: readonly Trial[]): readonly Trial[] {
  const random = seededRandom(SEED);
  return trials
    .map((trial) => ({ trial, at: random() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, TRIALS)
    .map(({ trial }) => trial);
}

import { seededRandom } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RegistryCase, runCase } from "./registry-case.ts";
import { DISTURBING, disruptionCases, KEPT_FOR_A_TTL, OWNER_KILLED } from "./registry-cases-disruption.ts";
import { documentCases } from "./registry-cases-documents.ts";
import { followingCases } from "./registry-cases-following.ts";
import { foreignCases } from "./registry-cases-foreign.ts";
import { lifeCases, SAYS_HOW_FRESH } from "./registry-cases-life.ts";
import { ownershipCases, TAKE_OVER } from "./registry-cases-ownership.ts";
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

/** These mostly wait for something to end by itself, and do so beside each other. */
const PATIENT: ReadonlySet<string> = new Set([KEPT_FOR_A_TTL, OWNER_KILLED, TAKE_OVER, SAYS_HOW_FRESH]);

/** How many mutants are planted in each driver; all of them in a soak. */
const TRIALS = process.env.MUTANTS === "all" ? Number.POSITIVE_INFINITY : 5;
const SEED = Number(process.env.MUTANTS_SEED ?? 4);

/** The longest a case may take, milliseconds. */
const CASE_MS_MAX = 45_000;
const TRIALS_MS_MAX = 900_000;

export interface ContractOptions {
  /** What this kind cannot do, with the reason, which the test run shows. */
  readonly skip?: Readonly<Record<string, string>>;
  /** What stands in for a case that this kind's layout cannot be asked. */
  readonly instead?: Readonly<Record<string, RegistryCase>>;
}

/**
 * Runs the conformance suite against a kind of registry, and plants mutants in it, each before the case that is meant to
 * catch it.
 */
export function registryContract(
  name: string,
  start: () => Promise<RegistryHarness>,
  { skip = {}, instead = {} }: ContractOptions = {},
): void {
  for (const title of [...Object.keys(skip), ...Object.keys(instead)])
    if (!REGISTRY_CASES.some((one) => one.name === title)) throw new Error(`${name}: there is no such case: ${title}`);
  const cases = new Map(
    REGISTRY_CASES.filter((one) => skip[one.name] === undefined).map((one) => [one.name, instead[one.name] ?? one]),
  );
  describe(`registry ${name}`, () => {
    let harness: RegistryHarness;
    beforeAll(async () => {
      harness = await start();
    });
    afterAll(async () => {
      await harness?.stop();
    });
    const define = (title: string, as: typeof it | typeof it.concurrent): void => {
      const one = cases.get(title);
      if (one === undefined) it(`does not apply: ${title} (${skip[title]})`, () => undefined);
      else as(one.name, () => runCase(one, harness), CASE_MS_MAX);
    };
    for (const { name: title } of REGISTRY_CASES) if (!PATIENT.has(title)) define(title, it);
    for (const title of PATIENT) define(title, it.concurrent);
    it(
      "is shown to be wrong when it is",
      async () => {
        const all = trialsOf(cases, harness.nodeless === true);
        const trials = sampleOf(all);
        const escaped = await runTrials(trials, harness, DISTURBING);
        const caught = trials.length - escaped.length;
        const count = `${cases.size} of ${REGISTRY_CASES.length} cases, ${Object.keys(instead).length} by another of its layout`;
        console.log(`${name}: ${count}, ${all.length} with a mutant; planted ${trials.length}, caught ${caught}`);
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

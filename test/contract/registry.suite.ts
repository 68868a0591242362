import { afterAll, beforeAll, describe, it } from "vitest";
import type { RegistryCase } from "./registry-case.ts";
import { disruptionCases } from "./registry-cases-disruption.ts";
import { documentCases } from "./registry-cases-documents.ts";
import { followingCases } from "./registry-cases-following.ts";
import { foreignCases } from "./registry-cases-foreign.ts";
import { lifeCases } from "./registry-cases-life.ts";
import { ownershipCases } from "./registry-cases-ownership.ts";
import { sessionCases } from "./registry-cases-session.ts";
import { watchCases } from "./registry-cases-watch.ts";
import type { RegistryHarness } from "./registry-harness.ts";

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

/** The longest a case may take, milliseconds. */
const CASE_MS_MAX = 45_000;

/**
 * Runs the conformance suite against a kind of registry. What a kind cannot do is named in `skip`, with the reason, which
 * the test run shows.
 */
export function registryContract(
  name: string,
  start: () => Promise<RegistryHarness>,
  options: { readonly skip?: Readonly<Record<string, string>> } = {},
): void {
  const { skip = {} } = options;
  for (const unknown of Object.keys(skip).filter((title) => !REGISTRY_CASES.some((one) => one.name === title))) {
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
    for (const one of REGISTRY_CASES) {
      const reason = skip[one.name];
      if (reason === undefined) it(one.name, () => runCase(one, harness), CASE_MS_MAX);
      else it(`does not apply: ${one.name} (${reason})`, () => undefined);
    }
  });
}

/** Runs one case on a fresh prefix, and closes what it opened. @throws what the case throws. */
export async function runCase(one: RegistryCase, harness: RegistryHarness): Promise<void> {
  const bench = await harness.fresh();
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  try {
    await one.run({
      bench,
      goneMs: harness.goneMs,
      ttlMs: harness.ttlMs,
      waitMs: harness.waitMs ?? 10_000,
      defer: (cleanup) => cleanups.push(cleanup),
      async open() {
        const registry = await bench.open();
        cleanups.push(() => registry.close());
        return registry;
      },
    });
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
    await bench.done();
  }
}

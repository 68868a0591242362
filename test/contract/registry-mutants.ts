import type { Registry } from "@smartstack/core";
import type { RegistryBench } from "./registry-harness.ts";
import { CONTENT_MUTANTS } from "./registry-mutants-content.ts";
import { SESSION_MUTANTS } from "./registry-mutants-session.ts";
import { WATCH_MUTANTS } from "./registry-mutants-watch.ts";

/** One way in which a registry can be subtly wrong. */
export interface Mutant {
  /** Breaks a driver of any kind; through the bench it reaches what the driver does not. */
  readonly wrap: (registry: Registry, bench: RegistryBench) => Registry;
  /** Breaks what is round the driver: processes of their own. */
  readonly bench?: (bench: RegistryBench) => RegistryBench;
  /** The cases that must notice. */
  readonly fails: readonly string[];
  /** Those that must in a layout without node entries, where these are others. */
  readonly nodeless?: readonly string[];
}

/** The names of the cases that must notice a mutant. */
export function failing({ fails, nodeless }: Mutant, inNodeless: boolean): readonly string[] {
  return inNodeless ? (nodeless ?? fails) : fails;
}

/** The conformance suite must notice every one of them. */
export const MUTANTS: Readonly<Record<string, Mutant>> = { ...WATCH_MUTANTS, ...SESSION_MUTANTS, ...CONTENT_MUTANTS };

import type { z } from "zod";
import { applyCorrection, correctionsOf } from "./correct.ts";
import { faultLines } from "./fault-text.ts";
import { type ConfigSource, configInvalid, type ParsedConfig, parseConfig } from "./parse.ts";

export interface Loaded<T> {
  readonly value: T;
  /** `file:line:col: …`, one per unknown key. */
  readonly warnings: readonly string[];
}

/** How often validation may be repeated with a corrected input: each round corrects all that the one before has shown. */
const ROUNDS_MAX = 1_000;

/**
 * Reads YAML 1.1 (JSON is a subset), substitutes the environment in scalars, and validates. Unknown keys become
 * warnings; a boolean or number where a string is expected is taken as it was written (`zone: no`, `name: 010`); a key
 * with nothing behind it counts as absent.
 * @throws StackError CONFIG_INVALID; its message has one line per fault, each `file:line:col: what, expected what`, and
 * then one per warning.
 */
export function loadConfig<T>(source: ConfigSource, schema: z.ZodType<T>): Loaded<T> {
  const parsed = parseConfig(source);
  const warnings = new Set(parsed.warnings);
  const { input } = parsed;
  for (let round = 0; ; round++) {
    const result = schema.safeParse(input);
    if (result.success) return { value: result.data, warnings: inFileOrder(warnings) };
    const corrections = result.error.issues.flatMap((issue) => correctionsOf(issue, { parsed, schema, input }) ?? []);
    if (corrections.length === 0 || round === ROUNDS_MAX) throw rejected(result.error.issues, parsed, input, warnings);
    for (const correction of corrections) {
      applyCorrection(input, correction);
      if (correction.type === "drop" && correction.warning !== undefined) warnings.add(correction.warning);
    }
  }
}

/** The unknown keys are told too: a misspelt key is often why another one is missing. */
function rejected(
  issues: readonly z.core.$ZodIssue[],
  parsed: ParsedConfig,
  input: unknown,
  warnings: ReadonlySet<string>,
): Error {
  const faults = issues.flatMap((issue) => faultLines(issue, parsed, input));
  return configInvalid([...inFileOrder(faults), ...inFileOrder(warnings).map((warning) => `warning: ${warning}`)]);
}

/** Every line begins with the same file, then line and column. */
function inFileOrder(lines: Iterable<string>): readonly string[] {
  return [...new Set(lines)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

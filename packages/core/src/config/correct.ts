import type { z } from "zod";
import { didYouMean } from "./did-you-mean.ts";
import type { ParsedConfig, Path, WrittenScalar } from "./parse.ts";
import { knownKeys } from "./schema-keys.ts";

/** One change of the input that the contract allows; a dropped key is told to the user. */
export type Correction =
  | { readonly type: "set"; readonly path: Path; readonly value: unknown }
  | { readonly type: "drop"; readonly path: Path; readonly key: string; readonly warning?: string };

type Issue = z.core.$ZodIssue;

export interface CorrectionContext {
  readonly parsed: ParsedConfig;
  readonly schema: unknown;
  /** As corrected so far. */
  readonly input: unknown;
}

/**
 * What repairs one issue, or undefined when nothing may: an unknown key is dropped with a warning, a scalar is read
 * again as what was asked for, an empty value counts as absent. Pure.
 */
export function correctionsOf(issue: Issue, context: CorrectionContext): readonly Correction[] | undefined {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      type: "drop",
      path: issue.path,
      key,
      warning: unknownKey(issue.path, key, context),
    }));
  }
  if (issue.code === "invalid_union") return bestAlternative(issue, context);
  if (issue.code !== "invalid_type" && issue.code !== "invalid_value") return undefined;
  const current = valueAt(context.input, issue.path);
  const last = issue.path.at(-1);
  if (current === null && typeof last === "string") return [{ type: "drop", path: issue.path.slice(0, -1), key: last }];
  const scalar = context.parsed.scalarAt(issue.path);
  const value = scalar === undefined ? undefined : reread(scalar, issue);
  return value === undefined || value === current ? undefined : [{ type: "set", path: issue.path, value }];
}

/** Carries a correction out. The input is the loader's own copy. */
export function applyCorrection(input: unknown, correction: Correction): void {
  const path = correction.type === "set" ? correction.path.slice(0, -1) : correction.path;
  const key = correction.type === "set" ? correction.path.at(-1) : correction.key;
  const parent = valueAt(input, path);
  if (typeof parent !== "object" || parent === null || key === undefined) return;
  if (correction.type === "set") (parent as Record<PropertyKey, unknown>)[key] = correction.value;
  else delete (parent as Record<PropertyKey, unknown>)[key];
}

export function valueAt(root: unknown, path: Path): unknown {
  let current = root;
  for (const step of path) current = (current as Record<PropertyKey, unknown> | null | undefined)?.[step];
  return current;
}

function unknownKey(path: Path, key: string, context: CorrectionContext): string {
  const near = didYouMean(key, knownKeys(context.schema, path));
  // Another alternative's key, spelt right, is no misspelling.
  const hint = near === undefined || near === key ? "" : `, did you mean ${near}?`;
  const inside = path.length === 0 ? "" : ` in ${path.map(String).join(".")}`;
  return `${context.parsed.where([...path, key])}: unknown key ${key}${inside}${hint}`;
}

/** Only corrections that complete one alternative are safe; of those, the ones that throw least away. */
function bestAlternative(
  issue: Extract<Issue, { code: "invalid_union" }>,
  context: CorrectionContext,
): readonly Correction[] | undefined {
  let best: readonly Correction[] | undefined;
  for (const alternative of issue.errors) {
    const planned = alternative.map((inner) =>
      correctionsOf({ ...inner, path: [...issue.path, ...inner.path] } as Issue, context),
    );
    if (planned.length === 0 || planned.some((corrections) => corrections === undefined)) continue;
    const corrections = planned.flatMap((each) => each ?? []);
    if (best === undefined || drops(corrections) < drops(best)) best = corrections;
  }
  return best;
}

function drops(corrections: readonly Correction[]): number {
  return corrections.filter((correction) => correction.type === "drop").length;
}

function reread(scalar: WrittenScalar, issue: Extract<Issue, { code: "invalid_type" | "invalid_value" }>): unknown {
  const { value, source, substituted } = scalar;
  // `zone: no`, `name: 010`, `discover: off`: YAML 1.1 sees booleans, numbers and dates where a word is meant.
  const written = typeof value === "string" || value === null ? undefined : source;
  if (issue.code === "invalid_value") {
    if (written !== undefined && issue.values.includes(written)) return written;
    if (!substituted || typeof value !== "string") return undefined;
    return issue.values.find((option) => String(option) === value);
  }
  if (issue.expected === "string") return written;
  if (!substituted || typeof value !== "string") return undefined;
  if ((issue.expected === "number" || issue.expected === "int") && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (issue.expected === "boolean" && /^(true|yes|on)$/i.test(value)) return true;
  if (issue.expected === "boolean" && /^(false|no|off)$/i.test(value)) return false;
  return undefined;
}

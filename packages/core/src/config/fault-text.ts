import type { z } from "zod";
import { valueAt } from "./correct.ts";
import { didYouMean } from "./did-you-mean.ts";
import type { ParsedConfig, Path } from "./parse.ts";

type Issue = z.core.$ZodIssue;

/** The lines that tell a user about one issue: `file:line:col: path: what, expected what, did you mean`. */
export function faultLines(issue: Issue, parsed: ParsedConfig, input: unknown): readonly string[] {
  const value = valueAt(input, issue.path);
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const nearest = nearestAlternative(issue.errors);
    if (nearest !== undefined)
      return nearest.flatMap((inner) =>
        faultLines({ ...inner, path: [...issue.path, ...inner.path] } as Issue, parsed, input),
      );
    const wanted = [...new Set(issue.errors.flat().map(wantedBy))].join(" or ");
    return [line(parsed, issue.path, `expected ${wanted}, got ${shown(issue.path, value)}`)];
  }
  return [line(parsed, issue.path, messageOf(issue, value))];
}

function line(parsed: ParsedConfig, path: Path, text: string): string {
  const name = path.length === 0 ? "" : `${path.map(String).join(".")}: `;
  return `${parsed.where(path)}: ${name}${text}`;
}

/** The alternative that the user meant: the one whose shape fits, so that its faults lie inside. */
function nearestAlternative(alternatives: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  return alternatives
    .filter((issues) => !issues.some((issue) => issue.path.length === 0 && isMismatch(issue)))
    .sort((a, b) => a.length - b.length)[0];
}

function isMismatch(issue: Issue): boolean {
  return issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
}

function wantedBy(issue: Issue): string {
  if (issue.code === "invalid_type") return article(issue.expected);
  if (issue.code === "invalid_value") return issue.values.map(String).join(" or ");
  if (issue.code === "invalid_union" && issue.errors.length > 0)
    return [...new Set(issue.errors.flat().map(wantedBy))].join(" or ");
  return issue.message;
}

function messageOf(issue: Issue, value: unknown): string {
  const got = value === undefined ? "missing, " : "";
  const suffix = value === undefined ? "" : `, got ${shown(issue.path, value)}`;
  const options = optionsOf(issue);
  if (options !== undefined) {
    const near = typeof value === "string" ? didYouMean(value, options) : undefined;
    return `${got}expected ${oneOf(options)}${suffix}${near === undefined ? "" : `, did you mean ${near}?`}`;
  }
  if (issue.code === "invalid_type") return `${got}expected ${article(issue.expected)}${suffix}`;
  if (issue.code === "unrecognized_keys") return `unknown key ${issue.keys.join(", ")}`;
  if (issue.code === "invalid_key") return `key not allowed: ${issue.issues.map((inner) => inner.message).join(", ")}`;
  return `${issue.message}${suffix}`;
}

function optionsOf(issue: Issue): readonly string[] | undefined {
  if (issue.code === "invalid_value") return issue.values.map(String);
  const options = (issue as { options?: unknown }).options;
  return issue.code === "invalid_union" && Array.isArray(options) ? options.map(String) : undefined;
}

function oneOf(options: readonly string[]): string {
  return options.length === 1 ? String(options[0]) : `one of ${options.join(", ")}`;
}

const NAMES: Readonly<Record<string, string>> = {
  object: "a mapping (key: value)",
  record: "a mapping (key: value)",
  array: "a list",
  int: "a whole number",
};

function article(expected: string): string {
  return NAMES[expected] ?? `a ${expected}`;
}

const SECRET = /token|password|passwd|secret|credential/i;

function shown(path: Path, value: unknown): string {
  if (path.some((step) => SECRET.test(String(step)))) return "another value";
  if (Array.isArray(value)) return "a list";
  if (value === null) return "nothing";
  if (typeof value === "object") return "a mapping";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

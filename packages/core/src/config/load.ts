import { type Document, isNode, isScalar, LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { describeError, StackError } from "../errors.ts";
import { didYouMean } from "./did-you-mean.ts";
import { substitute } from "./substitute.ts";

export interface ConfigSource {
  /** The file's name, for messages. */
  readonly file: string;
  readonly text: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Loaded<T> {
  readonly value: T;
  /** `file:line:col: …`, one per unknown key. */
  readonly warnings: readonly string[];
}

type Path = readonly PropertyKey[];

/** How often validation may be repeated with a corrected input: once per wrong-typed scalar or unknown key. */
const CORRECTIONS_MAX = 1_000;

/**
 * Reads YAML 1.1 (JSON is a subset), substitutes the environment in scalars, and validates. Unknown keys become
 * warnings; a boolean or number where a string is expected is taken as it was written (`zone: no`, `name: 010`).
 * @throws StackError CONFIG_INVALID; its message has one line per fault, each `file:line:col: what, expected what`.
 */
export function loadConfig<T>(source: ConfigSource, schema: z.ZodType<T>): Loaded<T> {
  const lines = new LineCounter();
  const document = parseDocument(source.text, { version: "1.1", lineCounter: lines, merge: true, prettyErrors: false });
  const where = (path: Path): string => position(source.file, document, lines, path);
  const faults = document.errors.map((error) => {
    const at = lines.linePos(error.pos[0]);
    return `${source.file}:${at.line}:${at.col}: ${error.message}`;
  });
  if (faults.length > 0) throw invalid(faults);
  const substituted = substituteAll(source, document, lines);
  return validate(document, substituted, schema, where);
}

/** Substitutes in every string scalar; returns the nodes that changed, which may later be read as numbers or booleans. */
function substituteAll(source: ConfigSource, document: Document, lines: LineCounter): Set<unknown> {
  const changed = new Set<unknown>();
  const faults: string[] = [];
  visitScalars(document.contents, (scalar) => {
    if (typeof scalar.value !== "string") return;
    try {
      const text = substitute(scalar.value, source.env);
      if (text === scalar.value) return;
      scalar.value = text;
      changed.add(scalar);
    } catch (error) {
      const at = lines.linePos(scalar.range?.[0] ?? 0);
      faults.push(`${source.file}:${at.line}:${at.col}: ${describeError(error)}`);
    }
  });
  if (faults.length > 0) throw invalid(faults);
  return changed;
}

interface ScalarNode {
  value: unknown;
  source?: string;
  range?: readonly number[] | null;
}

function visitScalars(node: unknown, visit: (scalar: ScalarNode) => void): void {
  if (isScalar(node)) {
    visit(node as ScalarNode);
    return;
  }
  if (typeof node !== "object" || node === null || !("items" in node)) return;
  for (const item of node.items as unknown[]) {
    visitScalars(
      typeof item === "object" && item !== null && "key" in item ? (item as { value?: unknown }).value : item,
      visit,
    );
  }
}

function validate<T>(
  document: Document,
  substituted: Set<unknown>,
  schema: z.ZodType<T>,
  where: (path: Path) => string,
): Loaded<T> {
  const input: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
  const warnings: string[] = [];
  for (let round = 0; ; round++) {
    const result = schema.safeParse(input);
    if (result.success) return { value: result.data, warnings };
    let corrected = false;
    for (const issue of result.error.issues) {
      corrected =
        (round < CORRECTIONS_MAX && correct(issue, input, document, substituted, schema, where, warnings)) || corrected;
    }
    if (!corrected)
      throw invalid(
        result.error.issues.map((issue) => `${where(issue.path)}: ${pathText(issue.path)}${issue.message}`),
      );
  }
}

/** Repairs what the contract allows to be repaired: an unknown key is dropped with a warning, a scalar is re-read as the type that was asked for. */
function correct(
  issue: z.core.$ZodIssue,
  input: unknown,
  document: Document,
  substituted: Set<unknown>,
  schema: z.ZodType,
  where: (path: Path) => string,
  warnings: string[],
): boolean {
  if (issue.code === "unrecognized_keys") {
    const parent = valueAt(input, issue.path);
    if (typeof parent !== "object" || parent === null) return false;
    for (const key of issue.keys) {
      const near = didYouMean(key, knownKeys(schema, issue.path));
      const hint = near === undefined ? "" : `, did you mean ${near}?`;
      warnings.push(`${where([...issue.path, key])}: ${pathText(issue.path)}unknown key ${key}${hint}`);
      delete (parent as Record<string, unknown>)[key];
    }
    return true;
  }
  if (issue.code === "invalid_union") return correctUnion(issue, input, document, substituted, schema, where, warnings);
  if (issue.code !== "invalid_type") return false;
  const node = document.getIn(issue.path as unknown[], true);
  if (!isScalar(node)) return false;
  const replacement = reread(node as ScalarNode, issue.expected, substituted.has(node));
  return replacement !== undefined && replaceAt(input, issue.path, replacement);
}

function correctUnion(
  issue: Extract<z.core.$ZodIssue, { code: "invalid_union" }>,
  input: unknown,
  document: Document,
  substituted: Set<unknown>,
  schema: z.ZodType,
  where: (path: Path) => string,
  warnings: string[],
): boolean {
  // Only a correction that completes one alternative is safe to make.
  for (const alternative of issue.errors) {
    if (
      alternative.length === 0 ||
      alternative.some((inner) => inner.code !== "unrecognized_keys" && inner.code !== "invalid_type")
    )
      continue;
    const absolute = alternative.map(
      (inner) => ({ ...inner, path: [...issue.path, ...inner.path] }) as z.core.$ZodIssue,
    );
    if (absolute.map((inner) => correct(inner, input, document, substituted, schema, where, warnings)).every(Boolean))
      return true;
  }
  return false;
}

function reread(node: ScalarNode, expected: string, wasSubstituted: boolean): unknown {
  const value = node.value;
  if (expected === "string" && (typeof value === "boolean" || typeof value === "number"))
    return node.source ?? String(value);
  if (!wasSubstituted || typeof value !== "string") return undefined;
  if ((expected === "number" || expected === "int") && /^-?\d+(\.\d+)?$/.test(value)) return Number(value);
  if (expected === "boolean" && /^(true|false|yes|no|on|off)$/i.test(value)) return /^(true|yes|on)$/i.test(value);
  return undefined;
}

function valueAt(root: unknown, path: Path): unknown {
  let current = root;
  for (const step of path) current = (current as Record<PropertyKey, unknown> | undefined)?.[step];
  return current;
}

function replaceAt(root: unknown, path: Path, value: unknown): boolean {
  const parent = valueAt(root, path.slice(0, -1));
  const last = path[path.length - 1];
  if (typeof parent !== "object" || parent === null || last === undefined) return false;
  if ((parent as Record<PropertyKey, unknown>)[last] === value) return false;
  (parent as Record<PropertyKey, unknown>)[last] = value;
  return true;
}

/** The keys the schema knows at a path: a walk through objects, records, arrays, unions and wrappers. */
function knownKeys(schema: unknown, path: Path): string[] {
  let level: unknown[] = unwrap(schema);
  for (const step of path) level = level.flatMap((candidate) => children(candidate, step)).flatMap(unwrap);
  return level.flatMap((candidate) => Object.keys((candidate as { shape?: object }).shape ?? {}));
}

interface SchemaDefinition {
  readonly type?: string;
  readonly innerType?: unknown;
  readonly in?: unknown;
  readonly options?: readonly unknown[];
  readonly element?: unknown;
  readonly valueType?: unknown;
  readonly left?: unknown;
  readonly right?: unknown;
}

function definition(schema: unknown): SchemaDefinition {
  return (schema as { _zod?: { def?: SchemaDefinition } } | undefined)?._zod?.def ?? {};
}

function unwrap(schema: unknown): unknown[] {
  const def = definition(schema);
  if (def.innerType !== undefined) return unwrap(def.innerType);
  if (def.type === "pipe") return unwrap(def.in);
  if (def.options !== undefined) return def.options.flatMap(unwrap);
  if (def.type === "intersection") return [...unwrap(def.left), ...unwrap(def.right)];
  return [schema];
}

function children(schema: unknown, step: PropertyKey): unknown[] {
  const def = definition(schema);
  if (def.element !== undefined) return [def.element];
  if (def.type === "record") return [def.valueType];
  const child = (schema as { shape?: Record<PropertyKey, unknown> }).shape?.[step];
  return child === undefined ? [] : [child];
}

function position(file: string, document: Document, lines: LineCounter, path: Path): string {
  // The nearest enclosing node that exists in the file: a missing key has no position of its own.
  for (let length = path.length; length >= 0; length--) {
    const node = length === 0 ? document.contents : keyOrValue(document, path.slice(0, length));
    const offset = isNode(node) ? node.range?.[0] : undefined;
    if (offset === undefined) continue;
    const at = lines.linePos(offset);
    return `${file}:${at.line}:${at.col}`;
  }
  return `${file}:1:1`;
}

function keyOrValue(document: Document, path: Path): unknown {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1) as unknown[], true);
  const last = path[path.length - 1];
  const items = (parent as { items?: readonly { key?: unknown }[] } | null)?.items;
  const pair = items?.find((item) => isScalar(item?.key) && item.key.value === last);
  return pair?.key ?? document.getIn(path as unknown[], true);
}

function pathText(path: Path): string {
  return path.length === 0 ? "" : `${path.map(String).join(".")}: `;
}

function invalid(faults: readonly string[]): StackError {
  return new StackError("CONFIG_INVALID", faults.join("\n"), { side: "config", retry: "never" });
}

import { type Document, isAlias, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Scalar } from "yaml";
import { describeError, StackError } from "../errors.ts";
import { substitute } from "./substitute.ts";

export interface ConfigSource {
  /** The file's name, for messages. */
  readonly file: string;
  readonly text: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type Path = readonly PropertyKey[];

/** A file that is well-formed, its environment filled in, not yet compared with a schema. */
export interface ParsedConfig {
  /** Plain values; shared nodes (aliases) are copied, so that one place can be corrected without the other. */
  readonly input: unknown;
  readonly warnings: readonly string[];
  /** The scalar written at a path, through aliases and merge keys. */
  scalarAt(path: Path): WrittenScalar | undefined;
  /** `file:line:col` of what a path names, or of what encloses it most closely. */
  where(path: Path): string;
}

export interface WrittenScalar {
  readonly value: unknown;
  /** As it stands in the file. */
  readonly source: string | undefined;
  /** Its text came, in whole or in part, from the environment: it may be meant as a number or a boolean. */
  readonly substituted: boolean;
}

/** Aliases may not blow a small file up. */
const ALIASES_MAX = 100;

/** @throws StackError CONFIG_INVALID, one line per fault. */
export function parseConfig(source: ConfigSource): ParsedConfig {
  const lines = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${source.file}:${line}:${col}`;
  };
  const document = parseDocument(source.text, {
    version: "1.1",
    merge: true,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "error",
    // By what is written: `on` and `y` are both true to YAML 1.1, and yet two names.
    uniqueKeys: (a, b) => isScalar(a) && isScalar(b) && keyText(a) === keyText(b),
  });
  if (document.errors.length > 0)
    throw configInvalid(document.errors.map((error) => `${at(error.pos[0])}: ${error.message}`));
  const substituted = fillIn(document, source.env, at);
  const locate = (path: Path): Located => locateIn(document, path);
  return {
    input: toPlain(document, source.file),
    warnings: document.warnings.map((warning) => `${at(warning.pos[0])}: ${warning.message}`),
    scalarAt(path) {
      const { value } = locate(path);
      if (!isScalar(value)) return undefined;
      return { value: value.value, source: value.source, substituted: substituted.has(value) };
    },
    where(path) {
      // A missing key has no position of its own.
      for (let length = path.length; length >= 0; length--) {
        const { key, value } = locate(path.slice(0, length));
        const offset = rangeOf(key) ?? rangeOf(value);
        if (offset !== undefined) return at(offset);
      }
      return `${source.file}:1:1`;
    },
  };
}

/** One error for all faults of a file. */
export function configInvalid(faults: readonly string[]): StackError {
  return new StackError("CONFIG_INVALID", faults.join("\n"), { side: "config", retry: "never" });
}

/** Makes every key the text that was written, and substitutes in every string value; returns the scalars that changed. */
function fillIn(document: Document, env: ConfigSource["env"], at: (offset: number) => string): ReadonlySet<unknown> {
  const changed = new Set<unknown>();
  const faults: string[] = [];
  const visit = (node: unknown): void => {
    if (isPair(node)) {
      if (isScalar(node.key) && !isMergeKey(node.key)) node.key.value = keyText(node.key);
      visit(node.value);
    } else if (isMap(node) || isSeq(node)) {
      node.items.forEach(visit);
    } else if (isScalar(node) && typeof node.value === "string") {
      try {
        const text = substitute(node.value, env);
        if (text === node.value) return;
        node.value = text;
        changed.add(node);
      } catch (error) {
        faults.push(`${at(rangeOf(node) ?? 0)}: ${describeError(error)}`);
      }
    }
  };
  visit(document.contents);
  if (faults.length > 0) throw configInvalid(faults);
  return changed;
}

function toPlain(document: Document, file: string): unknown {
  try {
    const input: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    return input === null || input === undefined ? {} : structuredCloneOf(input);
  } catch (error) {
    throw configInvalid([`${file}:1:1: ${describeError(error)}`]);
  }
}

/** A copy in which nothing is shared: structuredClone would keep an alias one object with its anchor. */
function structuredCloneOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structuredCloneOf);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, structuredCloneOf(inner)]));
}

interface Located {
  readonly key?: unknown;
  readonly value?: unknown;
}

function locateIn(document: Document, path: Path): Located {
  let current: Located = { value: document.contents };
  for (const step of path) {
    const next = childOf(document, resolved(document, current.value), step);
    if (next === undefined) return {};
    current = next;
  }
  return { key: current.key, value: resolved(document, current.value) };
}

function childOf(document: Document, node: unknown, step: PropertyKey): Located | undefined {
  if (isSeq(node)) {
    const item: unknown = node.items[Number(step)];
    return item === undefined ? undefined : { key: item, value: item };
  }
  if (!isMap(node)) return undefined;
  const own = node.items.find((pair) => isScalar(pair.key) && pair.key.value === step);
  if (own !== undefined) return { key: own.key, value: own.value };
  for (const pair of node.items) {
    if (!isScalar(pair.key) || !isMergeKey(pair.key)) continue;
    const merged = resolved(document, pair.value);
    for (const base of isSeq(merged) ? merged.items : [merged]) {
      const found = childOf(document, resolved(document, base), step);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function isMergeKey(key: Scalar): boolean {
  return typeof key.value === "symbol";
}

function keyText(key: Scalar): string {
  return typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
}

function rangeOf(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0];
}

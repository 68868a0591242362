import type { Path } from "./parse.ts";

/** The keys a schema knows at a path: a walk through objects, records, arrays, unions and wrappers. */
export function knownKeys(schema: unknown, path: Path): string[] {
  let level: unknown[] = unwrap(schema);
  for (const step of path) level = level.flatMap((candidate) => children(candidate, step)).flatMap(unwrap);
  return [...new Set(level.flatMap((candidate) => Object.keys((candidate as { shape?: object }).shape ?? {})))];
}

interface SchemaDefinition {
  readonly type?: string;
  readonly innerType?: unknown;
  readonly in?: unknown;
  readonly options?: readonly unknown[];
  readonly element?: unknown;
  readonly items?: readonly unknown[];
  readonly valueType?: unknown;
  readonly left?: unknown;
  readonly right?: unknown;
  readonly getter?: () => unknown;
}

function definition(schema: unknown): SchemaDefinition {
  return (schema as { _zod?: { def?: SchemaDefinition } } | undefined)?._zod?.def ?? {};
}

function unwrap(schema: unknown): unknown[] {
  const def = definition(schema);
  if (def.innerType !== undefined) return unwrap(def.innerType);
  if (def.type === "lazy") return unwrap(def.getter?.());
  if (def.type === "pipe") return unwrap(def.in).concat(unwrap((def as { out?: unknown }).out));
  if (def.options !== undefined) return def.options.flatMap(unwrap);
  if (def.type === "intersection") return [...unwrap(def.left), ...unwrap(def.right)];
  return [schema];
}

function children(schema: unknown, step: PropertyKey): unknown[] {
  const def = definition(schema);
  if (def.element !== undefined) return [def.element];
  if (def.type === "tuple") return [def.items?.[Number(step)]];
  if (def.type === "record") return [def.valueType];
  const child = (schema as { shape?: Record<PropertyKey, unknown> }).shape?.[step];
  return child === undefined ? [] : [child];
}

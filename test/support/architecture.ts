import { readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import path from "node:path";

/** Who may import whom; tests and the packages' testing entries included. A new package takes its place here. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  registry: ["core"],
  nerve: ["core", "registry"],
  proxy: ["core"],
  synapse: ["core", "registry", "proxy"],
  admin: ["core"],
  cli: ["core", "registry", "nerve", "proxy", "synapse", "admin"],
};

/** core has the vocabulary, and the config files it is read from; no client of anything. */
const CORE_THIRD_PARTY: readonly string[] = ["yaml", "zod"];

const LINES_MAX = 400;
const SCOPE = "@smartstack/";
const BUILTIN = new Set(builtinModules);

/**
 * What is wrong with the packages below `folder`, one sentence each; empty when all is well. It reads the sources' text:
 * an import it should not have taken for one is noise, one it missed would be a hole.
 */
export function checkArchitecture(folder: string): string[] {
  const packages = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return packages.flatMap(({ name }) => checkPackage(folder, name)).sort();
}

function checkPackage(folder: string, name: string): string[] {
  const manifest = JSON.parse(readFileSync(path.join(folder, name, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  const declared = Object.keys(manifest.dependencies ?? {});
  const problems: string[] = name in MAY_IMPORT ? [] : [`${name}: no place among the packages is known for it`];
  for (const dependency of declared) {
    const own = ownPackage(dependency);
    const allowed = own === undefined ? name !== "core" || CORE_THIRD_PARTY.includes(dependency) : mayImport(name, own);
    if (!allowed) problems.push(`${name}/package.json: ${name} may not depend on ${own ?? dependency}`);
  }
  for (const file of sources(path.join(folder, name, "src"))) {
    const text = readFileSync(file, "utf8");
    const place = path.relative(folder, file).replaceAll(path.sep, "/");
    problems.push(...checkSource({ folder, name, file, text, declared }).map((problem) => `${place}: ${problem}`));
  }
  return problems;
}

interface Source {
  readonly folder: string;
  readonly name: string;
  readonly file: string;
  readonly text: string;
  readonly declared: readonly string[];
}

function checkSource({ folder, name, file, text, declared }: Source): string[] {
  const problems = new Set<string>();
  const isTest = file.endsWith(".test.ts");
  for (const specifier of specifiersOf(text)) {
    const target = specifier.startsWith(".")
      ? (path.relative(folder, path.resolve(path.dirname(file), specifier)).split(path.sep)[0] ?? "")
      : ownPackage(specifier);
    if (target !== undefined) {
      if (target === name) continue;
      if (!mayImport(name, target)) problems.add(`${name} may not import ${target}`);
    }
    if (specifier.startsWith(".") || specifier.startsWith("node:") || BUILTIN.has(specifier)) continue;
    const dependency = packageOf(specifier);
    // What tests need beyond that is declared at the top, once for all packages.
    if (!declared.includes(dependency) && !(isTest && target === undefined)) {
      problems.add(`${dependency} is not among the dependencies in ${name}/package.json`);
    }
  }
  const lines = text.split("\n").length;
  if (!isTest && lines > LINES_MAX) problems.add(`${lines} lines, at most ${LINES_MAX}`);
  if (name !== "core" && text.includes("Math.random")) {
    problems.add("Math.random: take a Random, so that tests can own it");
  }
  return [...problems];
}

function specifiersOf(text: string): string[] {
  const patterns = [
    // import and export … from, also where the names stand on lines of their own
    /^\s*(?:import|export|\})[^;"']*\bfrom\s*["']([^"']+)["']/gm,
    /^\s*import\s*["']([^"']+)["']/gm,
    /\b(?:import|require)\s*\(\s*["'`]([^"'`]+)["'`]/g,
    // However it is loaded: outside a comment, our own names have no other use.
    /^(?!\s*(?:\/\/|\*|\/\*)).*["'`](@smartstack\/[^"'`]+)["'`]/gm,
  ];
  return [...new Set(patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] as string)))];
}

function mayImport(from: string, to: string): boolean {
  return from === to || (MAY_IMPORT[from] ?? []).includes(to);
}

function ownPackage(specifier: string): string | undefined {
  return specifier.startsWith(SCOPE) ? specifier.slice(SCOPE.length).split("/")[0] : undefined;
}

function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

function sources(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.[mc]?[jt]sx?$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name));
}

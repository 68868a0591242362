import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { checkArchitecture } from "./support/architecture.ts";

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

describe("this checkout", () => {
  it("keeps the import directions, the limits and the injected randomness", () => {
    expect(checkArchitecture(path.join(ROOT, "packages"))).toEqual([]);
  });
});

describe("a planted violation is found", () => {
  let folder: string;
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Checks a tree of one file, in a package that declares what it may depend on. */
  function problems(file: string, text: string, dependencies: readonly string[] = []): string[] {
    folder = mkdtempSync(path.join(tmpdir(), "smartstack-architecture-"));
    const at = path.join(folder, file);
    mkdirSync(path.dirname(at), { recursive: true });
    writeFileSync(at, text);
    const entries = dependencies.map((name) => [name, "1.0.0"]);
    const manifest = { dependencies: Object.fromEntries(entries) };
    writeFileSync(path.join(folder, file.split("/")[0] as string, "package.json"), JSON.stringify(manifest));
    return checkArchitecture(folder);
  }

  it.each([
    ["a static import", 'import { a } from "@smartstack/synapse";'],
    ["a type import", 'import type { A } from "@smartstack/synapse";'],
    ["a side-effect import", 'import "@smartstack/synapse";'],
    ["an import over several lines", 'import {\n  a,\n  b,\n} from "@smartstack/synapse";'],
    ["a re-export", 'export * from "@smartstack/synapse";'],
    ["a named re-export", 'export { a } from "@smartstack/synapse";'],
    ["a dynamic import", 'const a = await import("@smartstack/synapse");'],
    ["a lazy import", 'export const load = () => import(\n  "@smartstack/synapse"\n);'],
    ["a require", 'createRequire(import.meta.url)("@smartstack/synapse");'],
    ["an import type expression", 'let a: import("@smartstack/synapse").A;'],
    ["a relative path", 'import { a } from "../../synapse/src/view.ts";'],
  ])("%s from nerve to synapse", (_name, text) => {
    expect(problems("nerve/src/x.ts", text, ["@smartstack/synapse"])).toContainEqual(
      expect.stringContaining("nerve/src/x.ts: nerve may not import synapse"),
    );
  });

  it("in a package.json", () => {
    expect(problems("proxy/src/x.ts", "", ["@smartstack/registry"])).toEqual([
      "proxy/package.json: proxy may not depend on registry",
    ]);
  });

  it("an import that package.json does not declare", () => {
    expect(problems("nerve/src/x.ts", 'import { a } from "@smartstack/core";')).toEqual([
      "nerve/src/x.ts: @smartstack/core is not among the dependencies in nerve/package.json",
    ]);
    rmSync(folder, { recursive: true });
    expect(problems("registry/src/x.ts", 'import { Etcd3 } from "etcd3";')).toEqual([
      "registry/src/x.ts: etcd3 is not among the dependencies in registry/package.json",
    ]);
  });

  it("a third-party client in core", () => {
    expect(problems("core/src/x.ts", 'import Docker from "dockerode";', ["dockerode"])).toEqual([
      "core/package.json: core may not depend on dockerode",
    ]);
  });

  it("randomness that does not come in as an argument", () => {
    expect(problems("proxy/src/x.ts", "const a = Math.random();")).toEqual([
      "proxy/src/x.ts: Math.random: take a Random, so that tests can own it",
    ]);
  });

  it("a file that has grown too long", () => {
    expect(problems("proxy/src/x.ts", "\n".repeat(401))).toEqual(["proxy/src/x.ts: 402 lines, at most 400"]);
  });

  it("a package that has no place yet", () => {
    expect(problems("extra/src/x.ts", "")).toEqual(["extra: no place among the packages is known for it"]);
  });

  it("and words in comments and strings are none", () => {
    expect(problems("nerve/src/x.ts", '// see "@smartstack/synapse"\nconst a = "nothing from here";')).toEqual([]);
  });
});

/** Which of the names a list of globs asks for: `*` stands for any run of characters, `?` for one. Sorted, without repeats. */
export function discoveredNames(globs: readonly string[], names: Iterable<string>): readonly string[] {
  const patterns = globs.map(globPattern);
  const found = [...new Set(names)].filter((name) => patterns.some((pattern) => pattern.test(name)));
  return found.sort();
}

function globPattern(glob: string): RegExp {
  const body = glob.replace(/[.*+?^${}()|[\]\\]/g, (char) => (char === "*" ? ".*" : char === "?" ? "." : `\\${char}`));
  return new RegExp(`^${body}$`, "s");
}

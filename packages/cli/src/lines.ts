import type { Terminal } from "./terminal.ts";

/** What stands below a narrower terminal's lines is no easier to read. */
const COLUMNS_MIN = 40;
const HANG = 4;

/** Prints lines for people: within the columns of a terminal, as they are into anything else. */
export function printLines(terminal: Terminal, lines: readonly string[]): void {
  for (const line of lines) for (const part of wrap(plain(line), terminal.columns)) terminal.print(part);
}

/** Names and reasons come from labels, images and registries: nothing in them may steer a terminal. */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, "�");
}

/**
 * Breaks a line at its blanks; what follows stands below its last column, which begins after the first two blanks in a
 * row, or a little further in. A word that is too long for a line stays whole. Pure.
 */
export function wrap(line: string, columns: number | undefined): readonly string[] {
  if (columns === undefined || columns < COLUMNS_MIN || line.length <= columns) return [line];
  const indent = / */.exec(line)?.[0].length ?? 0;
  const labelled = / *\S+(?: \S+)? {2,}/.exec(line)?.[0].length ?? 0;
  const hang = " ".repeat(labelled > 0 && labelled <= columns / 4 ? labelled : indent + HANG);
  const parts: string[] = [];
  let rest = line;
  while (rest.length > columns) {
    const floor = parts.length === 0 ? indent : hang.length;
    const fits = rest.lastIndexOf(" ", columns);
    const at = fits > floor ? fits : rest.indexOf(" ", columns);
    if (at < 0) break;
    parts.push(rest.slice(0, at).trimEnd());
    rest = hang + rest.slice(at + 1).trimStart();
  }
  return [...parts, rest];
}

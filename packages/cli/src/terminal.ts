/** Where a short command writes, and what it reads from its surroundings. */
export interface Terminal {
  print(line: string): void;
  error(line: string): void;
  /** Makes the next line the first one that is seen. */
  clear(): void;
  /** How wide a line may be; undefined when the output is not a terminal. */
  readonly columns: number | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const processTerminal: Terminal = {
  print: (line) => process.stdout.write(`${line}\n`),
  error: (line) => process.stderr.write(`${line}\n`),
  clear: () => process.stdout.write("\x1b[H\x1b[2J"),
  get columns() {
    return process.stdout.isTTY ? process.stdout.columns : undefined;
  },
  env: process.env,
};

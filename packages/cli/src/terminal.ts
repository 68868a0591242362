/** Where a short command writes, and what it reads from its surroundings. */
export interface Terminal {
  print(line: string): void;
  error(line: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const processTerminal: Terminal = {
  print: (line) => process.stdout.write(`${line}\n`),
  error: (line) => process.stderr.write(`${line}\n`),
  env: process.env,
};

import { guessRole, type Role } from "../config.ts";
import { readSource, readStackConfig } from "../config-file.ts";
import type { Terminal } from "../terminal.ts";

/**
 * Validates a configuration file as the process would read it.
 * @throws StackError CONFIG_INVALID, one line per fault.
 */
export function check(terminal: Terminal, file: string, as: Role | undefined): void {
  const source = readSource(file, terminal.env);
  const role = as ?? guessRole(source);
  const { warnings } = readStackConfig(role, source);
  for (const warning of warnings) terminal.error(`warning: ${warning}`);
  terminal.print(
    `${file}: valid for smartstack ${role}${as === undefined ? " (by its keys; --as says otherwise)" : ""}`,
  );
}

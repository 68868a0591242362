import { describeError } from "@smartstack/core";
import { runProgram } from "./program.ts";

try {
  process.exitCode = await runProgram(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`smartstack: ${describeError(error)}\n`);
  process.exitCode = 2;
}
// Connections that a library still holds must not keep a process that is done.
process.exit();

import { isStackError } from "@smartstack/core";
import { Command, CommanderError, Option } from "commander";
import { check } from "./commands/check.ts";
import { type RunOptions, runRole } from "./commands/run.ts";
import { ROLES, type Role } from "./config.ts";
import { addOperatorCommands } from "./operator-commands.ts";
import { processTerminal as terminal } from "./terminal.ts";
import { version } from "./version.ts";

const ABOUT: Readonly<Record<Role, string>> = {
  up: "nerve, synapse and proxy in one process: everything one Docker host needs",
  nerve: "registrar: announces this host's healthy containers in the registry",
  synapse: "agent: serves what the registry holds on localhost",
};

/**
 * Runs the command line.
 * @returns the exit code: 0 done, 1 wrong usage or configuration, 2 it could not be done.
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  let code = 0;
  const program = buildProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1;
    if (!isStackError(error)) throw error;
    terminal.error(error.message);
    return error.side === "config" ? 1 : 2;
  }
}

function buildProgram(finish: (code: number) => void): Command {
  const program = new Command("smartstack")
    .description("Service discovery beside your containers: a labelled container becomes a localhost port.")
    .version(version())
    .exitOverride()
    .showHelpAfterError("(smartstack --help lists the commands)");
  for (const role of ROLES) {
    program
      .command(role)
      .description(ABOUT[role])
      .option("-c, --config <file>", "configuration file (YAML or JSON)")
      .addOption(new Option("--log <format>", "pretty on a terminal, else json").choices(["pretty", "json"]))
      .action(async (options: RunOptions) => finish(await runRole(role, options)));
  }
  program
    .command("check")
    .description("validates a configuration file")
    .requiredOption("-c, --config <file>", "the file")
    .addOption(new Option("--as <command>", "the command that will read it").choices(ROLES))
    .action((options: { config: string; as?: Role }) => check(terminal, options.config, options.as));
  addOperatorCommands(program, terminal, finish);
  program
    .command("demo")
    .description("shows the chain: starts backends, sends traffic, kills one, cleans up")
    .action(async () => {
      const { demo } = await import("./demo/demo.ts");
      finish(await demo(terminal));
    });
  return program;
}

import { durationMs, isStackError, systemClock } from "@smartstack/core";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { type AdminOptions, adminClient } from "./admin-client.ts";
import { check } from "./commands/check.ts";
import { type RunOptions, runRole } from "./commands/run.ts";
import { setState } from "./commands/set-state.ts";
import { status } from "./commands/status.ts";
import { wait } from "./commands/wait.ts";
import { ROLES, type Role } from "./config.ts";
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
  addOperatorCommands(program, finish);
  program
    .command("demo")
    .description("shows the chain: starts backends, sends traffic, kills one, cleans up")
    .action(async () => {
      const { demo } = await import("./demo/demo.ts");
      finish(await demo(terminal));
    });
  return program;
}

function addOperatorCommands(program: Command, finish: (code: number) => void): void {
  const operator = (name: string, about: string): Command =>
    program
      .command(name)
      .description(about)
      .option(
        "--admin <address>",
        "host:port or unix:/path (default: $SMARTSTACK_ADMIN, else 127.0.0.1:3210, then 3211)",
      )
      .option("--token <token>", "default: $SMARTSTACK_ADMIN_TOKEN");
  operator("status", "shows services, backends and containers, and why")
    .argument("[service]")
    .option("--json", "as JSON")
    .action(async (service: string | undefined, options: AdminOptions & { json?: boolean }) =>
      finish(
        await status(terminal, adminClient(options, terminal.env), {
          ...(service === undefined ? {} : { service }),
          ...(options.json === undefined ? {} : { json: options.json }),
        }),
      ),
    );
  operator("wait", "waits until a service has a usable backend")
    .argument("<service>")
    .option("--timeout <time>", "give up after this long", timeArgument, 60_000)
    .action(async (service: string, options: AdminOptions & { timeout: number }) =>
      finish(await wait(terminal, adminClient(options, terminal.env), service, options.timeout, systemClock)),
    );
  operator("drain", "lets an instance finish what it has, and take nothing new")
    .argument("<id>", "instance id, container name, or the beginning of a container id")
    .option("--for <time>", "back to up after this long", timeText)
    .action(async (id: string, options: AdminOptions & { for?: string }) =>
      finish(await setState(terminal, adminClient(options, terminal.env), id, "draining", options.for)),
    );
  operator("undrain", "lets an instance take traffic again")
    .argument("<id>", "as for drain")
    .action(async (id: string, options: AdminOptions) =>
      finish(await setState(terminal, adminClient(options, terminal.env), id, "up", undefined)),
    );
}

/** The text as it came, once it is known to be a time: the API reads it itself. */
function timeText(text: string): string {
  timeArgument(text);
  return text;
}

function timeArgument(text: string): number {
  const ms = durationMs(text);
  if (ms === undefined) throw new InvalidArgumentError('expected a time such as "30", "500ms" or "1m"');
  return ms;
}

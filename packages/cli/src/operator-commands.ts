import { durationMs, systemClock } from "@smartstack/core";
import { type Command, InvalidArgumentError } from "commander";
import { type AdminClient, type AdminOptions, adminClient } from "./admin-client.ts";
import { drain } from "./commands/drain.ts";
import { events } from "./commands/events.ts";
import { explain } from "./commands/explain.ts";
import { setState } from "./commands/set-state.ts";
import { status } from "./commands/status.ts";
import { top } from "./commands/top.ts";
import { wait } from "./commands/wait.ts";
import { onSignals } from "./signals.ts";
import type { Terminal } from "./terminal.ts";

type Finish = (code: number) => void;
type Json = AdminOptions & { readonly json?: boolean };

/** The commands that ask a running process, or tell it something, through its admin API. */
export function addOperatorCommands(program: Command, terminal: Terminal, finish: Finish): void {
  const operator: Operator = (name, about) =>
    program
      .command(name)
      .description(about)
      .option(
        "--admin <address>",
        "host:port or unix:/path (default: $SMARTSTACK_ADMIN, else 127.0.0.1:3210, then 3211)",
      )
      .option("--token <token>", "default: $SMARTSTACK_ADMIN_TOKEN");
  const clientOf = (options: AdminOptions): AdminClient => adminClient(options, terminal.env);
  addReaders(operator, clientOf, terminal, finish);
  addFollowers(operator, clientOf, terminal, finish);
  addChanges(operator, clientOf, terminal, finish);
}

type Operator = (name: string, about: string) => Command;
type ClientOf = (options: AdminOptions) => AdminClient;

function addReaders(operator: Operator, clientOf: ClientOf, terminal: Terminal, finish: Finish): void {
  operator("status", "shows services, backends and containers, and why")
    .argument("[service]")
    .option("--json", "as JSON")
    .action(async (service: string | undefined, options: Json) =>
      finish(
        await status(terminal, clientOf(options), {
          ...(service === undefined ? {} : { service }),
          ...(options.json === undefined ? {} : { json: options.json }),
        }),
      ),
    );
  operator("explain", "says of one container, instance or service whether it is registered and routed, and why")
    .argument("<name>", "a service, an instance id, a container's name, or the beginning of its id")
    .option("--json", "as JSON")
    .action(async (name: string, options: Json) =>
      finish(await explain(terminal, clientOf(options), name, options.json === true)),
    );
  operator("wait", "waits until a service has a usable backend")
    .argument("<service>")
    .option("--timeout <time>", "give up after this long", timeArgument, 60_000)
    .action(async (service: string, options: AdminOptions & { timeout: number }) =>
      finish(await wait(terminal, clientOf(options), service, options.timeout, systemClock)),
    );
}

function addFollowers(operator: Operator, clientOf: ClientOf, terminal: Terminal, finish: Finish): void {
  operator("events", "follows what happens, one line an event, until Ctrl-C")
    .option("--json", "as JSON lines")
    .action(async (options: Json) =>
      finish(await untilEnded((signal) => events(terminal, clientOf(options), options.json === true, signal))),
    );
  operator("top", "shows what each service does right now, until Ctrl-C").action(async (options: AdminOptions) =>
    finish(await untilEnded((signal) => top(terminal, clientOf(options), systemClock, signal))),
  );
}

function addChanges(operator: Operator, clientOf: ClientOf, terminal: Terminal, finish: Finish): void {
  operator("drain", "lets an instance finish what it has, and take nothing new")
    .argument("<id>", "instance id, container name, or the beginning of a container id")
    .option("--for <time>", "back to up after this long", timeText)
    .option("--wait", "return when it takes nothing new and has nothing in progress")
    .option("--timeout <time>", "with --wait: give up after this long", timeArgument, 60_000)
    .action(async (id: string, options: AdminOptions & { for?: string; wait?: true; timeout: number }) => {
      const waitMs = options.wait === true ? options.timeout : undefined;
      finish(await drain(terminal, clientOf(options), id, { forTime: options.for, waitMs }, systemClock));
    });
  operator("undrain", "lets an instance take traffic again")
    .argument("<id>", "as for drain")
    .action(async (id: string, options: AdminOptions) => {
      const changed = await setState(terminal, clientOf(options), id, "up", undefined);
      finish(changed.length === 0 ? 2 : 0);
    });
}

/** Runs `work` until a signal comes, or until nobody reads what it prints. */
async function untilEnded(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  const forget = onSignals(systemClock, { stop: end, stopNow: end, reload: end });
  process.stdout.on("error", end);
  try {
    return await work(ending.signal);
  } finally {
    forget();
    process.stdout.off("error", end);
  }
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

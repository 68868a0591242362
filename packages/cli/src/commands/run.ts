import { setFlagsFromString } from "node:v8";
import { type Clock, describeError, type EventBus, eventBus, sleep, systemClock, systemRandom } from "@smartstack/core";
import type { Role, StackConfig } from "../config.ts";
import { readSource, readStackConfig } from "../config-file.ts";
import { createLog, type Log, type LogFormat } from "../log.ts";
import { inContainer, watchNamespace } from "../namespace-guard.ts";
import { type Reload, watchConfig } from "../reload.ts";
import { createStack, type Stack } from "../run-stack.ts";
import { onFatal, onSignals } from "../signals.ts";
import { servingLines, startLines } from "../summary.ts";
import { version } from "../version.ts";

export interface RunOptions {
  readonly config?: string;
  readonly log?: LogFormat;
}

/** V8's own default. */
const YOUNG_GENERATION_GROWTH = 2;

/** By then a running container has been seen, probed and routed to. */
const FIRST_SUMMARY_MS = 1_500;

/**
 * Runs up, nerve or synapse until a signal ends it.
 * @returns the exit code
 * @throws StackError CONFIG_INVALID before anything is started.
 */
export async function runRole(role: Role, options: RunOptions): Promise<number> {
  const clock = systemClock;
  const source = readSource(options.config, process.env);
  const { value: config, warnings } = readStackConfig(role, source);
  const log = createLog({
    format: options.log ?? config.log.format ?? (process.stdout.isTTY ? "pretty" : "json"),
    level: config.log.level,
    now: clock.now,
  });
  onFatal((text, stack) => {
    log.write("fatal", `broken invariant, ending: ${text}`, { stack });
    if (stack !== undefined) process.stderr.write(`${stack}\n`);
    log.flush();
  });
  const events = eventBus();
  log.follow(events, role);
  for (const warning of warnings) events.publish("config.warning", { file: source.file, warning });
  const stack = await createStack(config, {
    clock,
    random: systemRandom,
    events,
    version: version(),
    onStopFailure: (part, error) => log.write("error", `${part} did not stop cleanly: ${describeError(error)}`),
  });
  const reload =
    options.config === undefined ? undefined : reloadInto(stack, role, options.config, source.text, clock, events);
  log.note(startLines(config, version()));
  log.write("debug", `${role} starts`, { version: version(), node: process.version });
  const code = await serve(stack, config, log, clock, reload);
  await reload?.close();
  log.flush();
  return code;
}

/** Starts, waits for the end, stops; the exit code. */
async function serve(
  stack: Stack,
  config: StackConfig,
  log: Log,
  clock: Clock,
  reload: Reload | undefined,
): Promise<number> {
  const running = new AbortController();
  let code = 0;
  const offSignals = onSignals(clock, {
    stop: (signal) => {
      log.write("info", `${signal}: stopping gracefully${drainText(config)}; again to stop now`);
      running.abort();
    },
    stopNow: () => {
      log.write("warn", "stopping now");
      log.flush();
      stack.killWorkers();
      process.exit(2);
    },
    reload: () => reload?.now(),
    replace() {
      if (!stack.replaceWorkers())
        log.write("warn", "SIGUSR2: there are no workers to replace; set workers in the configuration");
    },
  });
  const offNamespace =
    config.role === "synapse" && inContainer()
      ? watchNamespace(clock, () => {
          log.write("error", "the network of this container is gone, ending so that a restart can join the new one");
          code = 2;
          running.abort();
        })
      : undefined;
  await stack.start();
  if (config.synapse !== undefined) growHeap();
  if (config.synapse !== undefined) void summarize(stack, log, clock, running.signal);
  await ended(running.signal);
  offNamespace?.();
  await stack.stop();
  log.write("info", "stopped");
  offSignals();
  return code;
}

async function summarize(stack: Stack, log: Log, clock: Clock, signal: AbortSignal): Promise<void> {
  await sleep(clock, FIRST_SUMMARY_MS, signal);
  if (!signal.aborted) log.note(["serving", ...servingLines(stack.services()).map((line) => `  ${line}`)]);
}

function reloadInto(stack: Stack, role: Role, file: string, initial: string, clock: Clock, events: EventBus): Reload {
  return watchConfig({
    file,
    clock,
    events,
    initial,
    read: () => readSource(file, process.env).text,
    apply(text) {
      const { value, warnings } = readStackConfig(role, { file, text, env: process.env });
      for (const warning of warnings) events.publish("config.warning", { file, warning });
      for (const key of stack.reconfigure(value))
        events.publish("config.warning", {
          file,
          warning: `${file}: a change of ${key} takes effect at the next start`,
        });
    },
  });
}

function drainText(config: StackConfig): string {
  const graceMs = config.synapse?.shutdown_grace;
  return graceMs === undefined ? "" : `, at most ${graceMs / 1_000} s`;
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A data path's heap may grow with its load from now on: see bin/smartstack.js. */
function growHeap(): void {
  setFlagsFromString(`--semi-space-growth-factor=${YOUNG_GENERATION_GROWTH}`);
}

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { until } from "@smartstack/core/testing";

/** A child process of a test, with what it wrote so far. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  /** stdout and stderr in order of arrival, the newest 256 KiB. */
  output(): string;
  /** The exit code, or the signal's name, once it is gone. */
  readonly exited: Promise<number | NodeJS.Signals>;
  running(): boolean;
  /** TERM, then KILL after `graceMs` (5 s); resolves when it is gone. Idempotent. */
  stop(graceMs?: number): Promise<void>;
}

const OUTPUT_CHARS_MAX = 256 * 1024;
/** How long output is waited for behind the end of its process. */
const OUTPUT_MS_MAX = 1_000;
// The kernel then kills the child with its parent, even when that one dies by KILL and no handler of ours runs.
const SETPRIV = "/usr/bin/setpriv";

const cleanups = new Set<() => void>();
let armed = false;

/**
 * Runs `cleanup` when this process ends, however it ends short of SIGKILL. It must be synchronous.
 * @returns a function that takes it back, without running it.
 */
export function onProcessEnd(cleanup: () => void): () => void {
  if (!armed) arm();
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

function arm(): void {
  armed = true;
  process.on("exit", runCleanups);
  // Without a handler these end the process without an "exit" event. Not process.exit: in its workers Vitest makes that throw.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      runCleanups();
      process.kill(process.pid, signal);
    });
  }
}

function runCleanups(): void {
  for (const cleanup of cleanups) {
    try {
      cleanup();
    } catch (error) {
      // One that fails must not keep the others from running; the process is on its way out.
      process.stderr.write(`cleanup failed: ${String(error)}\n`);
    }
  }
  cleanups.clear();
}

/** Starts a program that dies with this process: by the registry here, and by the kernel should this process be killed. */
export function startChild(command: string, args: readonly string[], options: SpawnOptions = {}): Child {
  const wrapped = existsSync(SETPRIV);
  const child = spawn(
    wrapped ? SETPRIV : command,
    wrapped ? ["--pdeathsig", "KILL", "--", command, ...args] : [...args],
    // An own process group: a Ctrl-C on the terminal reaches the test, which then decides; and a group can be killed whole.
    { stdio: ["ignore", "pipe", "pipe"], ...options, detached: true },
  );
  let text = "";
  const keep = (chunk: Buffer): void => {
    text = (text + chunk.toString("utf8")).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  let gone = false;
  const forget = onProcessEnd(() => killGroup(child.pid, "SIGKILL"));
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    const end = (result: number | NodeJS.Signals): void => {
      gone = true;
      forget();
      resolve(result);
    };
    // "exit" may come before the last of the output; "close" comes behind it, but not while a grandchild holds the pipe.
    child.once("close", (code, signal) => end(code ?? signal ?? 0));
    child.once("exit", (code, signal) => {
      gone = true;
      setTimeout(() => end(code ?? signal ?? 0), OUTPUT_MS_MAX).unref();
    });
    child.once("error", (error) => {
      text += `${error.message}\n`;
      end(127);
    });
  });
  const stop = async (graceMs = 5_000): Promise<void> => {
    if (gone) return;
    killGroup(child.pid, "SIGTERM");
    // A frozen process takes its TERM only when it runs again.
    killGroup(child.pid, "SIGCONT");
    const kill = setTimeout(() => killGroup(child.pid, "SIGKILL"), graceMs);
    await exited;
    clearTimeout(kill);
  };
  return { process: child, pid: child.pid ?? 0, output: () => text, exited, running: () => !gone, stop };
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Waits until `ready` says so; fails at once, with the child's output, when it ended before. */
export async function untilReady(
  child: Child,
  what: string,
  ready: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const probe = async (): Promise<"ready" | "ended" | false> =>
    child.running() ? (await ready()) && "ready" : "ended";
  try {
    const outcome = await until(probe, { what: `${what} is ready`, timeoutMs });
    if (outcome === "ended") throw new Error(`${what} ended before it was ready`);
  } catch (error) {
    throw new Error(`${(error as Error).message}; its output:\n${child.output().slice(-4_000)}`, { cause: error });
  }
}

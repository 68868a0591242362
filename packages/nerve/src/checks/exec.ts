import { type ChildProcess, spawn } from "node:child_process";
import { z } from "zod";
import { attempt } from "./attempt.ts";
import type { CheckKind, OptionsOf, ProbeRequest, ProbeResult } from "./check.ts";
import { OUTPUT_CHARS, printable } from "./printable.ts";

const keys = {
  /** The program and its arguments, one by one: no shell takes them apart. */
  command: z.array(z.string()).min(1),
};

type ExecOptions = OptionsOf<typeof keys>;

/** The rest of the output comes within this time after the end, unless a process that left the group holds it open. */
const OUTPUT_GRACE_MS = 100;

/** UTF-8 has up to four bytes for a character. */
const OUTPUT_BYTES = OUTPUT_CHARS * 4;

const NOT_OURS = "it runs on as a user whose processes nerve may not kill: let the command end by itself";

/** What the last run of a check left behind, by the options of the check. */
const unkillable = new WeakMap<ExecOptions, ChildProcess>();

/**
 * Passes when the command ends with 0. It finds the instance in SMARTSTACK_HOST and SMARTSTACK_PORT, and is killed with
 * its process group when it takes too long, and also when it ends. Only a configuration file can name a command.
 */
export const exec: CheckKind<ExecOptions> = {
  active: true,
  inConfig: true,
  keys,
  detail: ({ command }) => ` ${command[0] ?? ""}`,
  probe,
};

function probe(request: ProbeRequest<ExecOptions>): Promise<ProbeResult> {
  const { host, port, options, timeoutMs, clock } = request;
  return attempt(request, ({ defer, late }) => {
    const left = unkillable.get(options);
    // One is bad enough: a process more with every probe would have no bound.
    if (left !== undefined && isRunning(left)) return Promise.reject(new Error(`${NOT_OURS} (pid ${left.pid})`));
    const [program = "", ...args] = options.command;
    const env = { ...process.env, SMARTSTACK_HOST: host, SMARTSTACK_PORT: String(port) };
    // Detached: it leads a process group of its own, which can be killed whole.
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const killGroup = groupKiller(child);
    late(() => {
      const killed = killGroup();
      if (!killed) unkillable.set(options, child);
      return `not done within ${timeoutMs} ms, ${killed ? "killed" : NOT_OURS}`;
    });
    defer(() => {
      killGroup();
      child.stdout.destroy();
      child.stderr.destroy();
    });
    const output = newestOf(child);
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => {
        // What it left running would hold the pipes open, and outlive every probe.
        killGroup();
        defer(clock.after(OUTPUT_GRACE_MS, () => resolve(verdict(code, signal, output()))));
      });
      child.on("close", (code, signal) => resolve(verdict(code, signal, output())));
    });
  });
}

/** Kills the group once: afterwards its number may be another's. False when nerve may kill none of its processes. */
function groupKiller(child: ChildProcess): () => boolean {
  let killed: boolean | undefined;
  const kill = (): boolean => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ESRCH" && code !== "EPERM") throw error;
      return code === "ESRCH";
    }
  };
  return () => {
    killed ??= kill();
    return killed;
  };
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

/** Both outputs in order of arrival, the end of them: that is where the reason of a failure stands. */
function newestOf(child: ChildProcess): () => Buffer {
  let held: Buffer = Buffer.alloc(0);
  const keep = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk]).subarray(-OUTPUT_BYTES);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return () => held;
}

function verdict(code: number | null, signal: NodeJS.Signals | null, output: Buffer): ProbeResult {
  const how = code === null ? `killed by ${signal}` : `exit code ${code}`;
  const lastLine = printable(output.toString().trimEnd().split("\n").at(-1) ?? "");
  const reason = lastLine === "" ? how : `${how}: ${lastLine}`;
  const kept = printable(output.toString().slice(-OUTPUT_CHARS), OUTPUT_CHARS);
  return { passed: code === 0, reason, ...(kept === lastLine ? {} : { output: kept }) };
}

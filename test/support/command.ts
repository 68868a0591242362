import { execFile } from "node:child_process";

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Default 60 s; the command is killed then. */
  readonly timeoutMs?: number;
}

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Runs a program to its end and returns what it wrote to stdout. @throws Error with both outputs when it fails. */
export function command(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      {
        env: options.env ?? process.env,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        timeout: options.timeoutMs ?? 60_000,
        killSignal: "SIGKILL",
        maxBuffer: OUTPUT_BYTES_MAX,
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const how = error.killed === true ? "was killed at its deadline" : `failed (${error.code ?? error.signal})`;
        reject(new Error(`${file} ${args.join(" ")} ${how}\n${stdout}${stderr}`, { cause: error }));
      },
    );
  });
}

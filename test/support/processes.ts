import { existsSync, readFileSync } from "node:fs";

/** A zombie counts as gone: it waits only for its parent. */
export function alive(pid: number): boolean {
  try {
    return (readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop() ?? "Z").charAt(0) !== "Z";
  } catch {
    return false;
  }
}

/** Sends a signal; a process that is already gone is fine. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The process id in a pid file, or undefined when there is no such file. */
export function readPid(file: string): number | undefined {
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
}

import { readdirSync, readFileSync } from "node:fs";
import { until } from "@smartstack/core/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { timed } from "../support/pauses.ts";
import { alive } from "../support/processes.ts";
import { probe } from "./checks.suite.ts";

const NODE = process.execPath;
const run = (command: readonly string[], timeoutMs = 5_000, signal?: AbortSignal) =>
  probe("exec", 5432, { command }, { host: "10.0.0.9", timeoutMs, ...(signal === undefined ? {} : { signal }) });

/** The processes whose command line has this word. */
function processesWith(word: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && alive(pid) && commandLine(pid).includes(word));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

const gone = (word: string) => until(() => processesWith(word).length === 0, { what: `no process with ${word}` });

let words = 0;
/** A word that no other process has in its command line. */
function uniqueWord(): string {
  return `check-${process.pid}-${++words}`;
}

describe("the contract of exec", () => {
  test("passes when the command ends with 0, and keeps its last output", async () => {
    expect(await run(["/bin/sh", "-c", "echo one; echo all well"])).toEqual({
      passed: true,
      reason: "exit code 0: all well",
      output: "one all well",
    });
  });

  test("fails with the exit code, and the last line of either output", async () => {
    expect(await run(["/bin/sh", "-c", "echo 'no disk' >&2; exit 3"])).toEqual({
      passed: false,
      reason: "exit code 3: no disk",
    });
    expect(await run(["/bin/sh", "-c", "kill -9 $$"])).toEqual({ passed: false, reason: "killed by SIGKILL" });
  });

  test("knows the instance from its environment", async () => {
    expect(await run(["/bin/sh", "-c", 'echo "$SMARTSTACK_HOST $SMARTSTACK_PORT"'])).toMatchObject({
      reason: "exit code 0: 10.0.0.9 5432",
    });
  });

  test("no shell takes the words apart", async () => {
    const print = "process.stdout.write(JSON.stringify(process.argv.slice(1)))";
    expect(await run([NODE, "-e", print, "$HOME; false", "a b", "*"])).toMatchObject({
      passed: true,
      reason: 'exit code 0: ["$HOME; false","a b","*"]',
    });
  });

  test.each([
    [["/no/such/program"], /ENOENT/],
    [["/etc/passwd"], /EACCES/],
    [["/bin/true", "a\0b"], /null bytes/],
  ])("a command that cannot be started fails: %j", async (command, reason) => {
    expect(await run(command)).toMatchObject({ passed: false, reason: expect.stringMatching(reason) });
  });

  test("is killed at its timeout, with all that it started and though it ignores TERM", async () => {
    const word = uniqueWord();
    const script = `trap '' TERM; sleep 60 & : ${word}; wait; sleep 60`;
    const running = run(["/bin/sh", "-c", script], 300);
    expect(await timed(() => running)).toBeLessThan(2_000);
    expect(await running).toEqual({ passed: false, reason: "not done within 300 ms, killed" });
    await gone(word);
  });

  test("what became another user's and cannot be killed fails, and is not started again while it runs", async () => {
    const word = uniqueWord();
    const kill = vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
    });
    onTestFinished(() => kill.mockRestore());
    const options = { command: [NODE, "-e", "setTimeout(() => {}, 60000)", word] };
    const again = () => probe("exec", 5432, options, { options, timeoutMs: 300 });
    expect((await again()).reason).toMatch(/^not done within 300 ms, .* nerve may not kill/);
    expect((await again()).reason).toMatch(/nerve may not kill.* \(pid \d+\)$/);
    kill.mockRestore();
    const left = processesWith(word);
    for (const pid of left) process.kill(pid, "SIGKILL");
    expect(left).toHaveLength(1);
    await gone(word);
    await until(async () => (await again()).reason === "not done within 300 ms, killed", {
      what: "it is started again",
    });
  });

  test("what it leaves running is killed, and does not hold the answer up", async () => {
    const word = uniqueWord();
    const child = `${NODE} -e 'setTimeout(() => {}, 60000)' ${word}`;
    const running = run(["/bin/sh", "-c", `${child} & echo done`]);
    expect(await timed(() => running)).toBeLessThan(3_000);
    expect(await running).toMatchObject({ passed: true });
    await gone(word);
  });

  test("a daemon that left the group does not hold the answer up", async () => {
    const word = uniqueWord();
    const daemon = `exec setsid ${NODE} -e 'setTimeout(() => {}, 60000)' ${word}`;
    onTestFinished(() => {
      for (const pid of processesWith(word)) process.kill(pid, "SIGKILL");
    });
    // Started by a shell that waits until it has left.
    const script = `(${daemon}) & until ps -o sess= -p $! | grep -qw $!; do sleep 0.02; done; echo started`;
    expect(await run(["/bin/sh", "-c", script])).toEqual({ passed: true, reason: "exit code 0: started" });
    expect(processesWith(word)).toHaveLength(1);
  });

  test("an abort kills it at once", async () => {
    const word = uniqueWord();
    const abort = new AbortController();
    const running = run([NODE, "-e", "setTimeout(() => {}, 60000)", word], 60_000, abort.signal);
    await until(() => processesWith(word).length > 0, { what: "the command runs" });
    abort.abort();
    expect(await running).toEqual({ passed: false, reason: "cancelled" });
    await gone(word);
  });

  test("what was aborted before it began does not begin", async () => {
    const word = uniqueWord();
    expect(await run(["/bin/sleep", "60", word], 5_000, AbortSignal.abort())).toMatchObject({ passed: false });
    expect(processesWith(word)).toEqual([]);
  });

  test("of an output without end only the newest is kept", async () => {
    const result = await run(["/bin/sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end; exit 1"]);
    expect(result).toMatchObject({ passed: false, reason: "exit code 1: end" });
    expect(result.output?.length).toBeLessThanOrEqual(1_024);
    expect(result.output).toMatch(/x end$/);
  });
});

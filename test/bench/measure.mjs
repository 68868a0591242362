// What a bench run is made of: programs pinned to a core, their CPU time from /proc, and wrk's own count of requests.
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { get } from "node:http";
import { connect } from "node:net";

const TICKS_A_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** @throws Error that names the Debian packages of the programs that are not there. */
export function needPrograms(programs) {
  const missing = Object.entries(programs).filter(([, file]) => !existsSync(file));
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name).join(" ");
  throw new Error(
    `the bench needs these Debian packages: ${names}\n  apt-get install -y --no-install-recommends ${names}`,
  );
}

/** Starts a program on one core; it ends with this process. Resolves when `port` accepts. */
export async function startPinned(core, command, args, port) {
  const child = spawn("/usr/bin/taskset", ["-c", String(core), command, ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  process.once("exit", () => child.kill("SIGKILL"));
  let ended = false;
  child.once("exit", () => (ended = true));
  for (const endMs = performance.now() + 15_000; !(await accepts(port)); await pause(50)) {
    if (ended || performance.now() > endMs) throw new Error(`${command} does not accept on port ${port}`);
  }
  return {
    pid: child.pid,
    stop: () =>
      new Promise((resolve) => {
        if (ended) return resolve();
        child.once("exit", resolve);
        child.kill("SIGKILL");
      }),
  };
}

/** CPU seconds, user and system, of one process. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop().split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** Resident memory, bytes. */
export function residentBytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1_024;
}

/** One load by wrk on one core: requests, errors, and the latencies it saw, milliseconds. */
export async function wrk(core, { url, connections, seconds, close, script }) {
  const args = ["-c", String(core), "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency"];
  if (close) args.push("-H", "Connection: close");
  if (script !== undefined) args.push("-s", script);
  const text = await output("/usr/bin/taskset", [...args, url]);
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests: number(/(\d+) requests in/),
    errors: errors.reduce((sum, count) => sum + Number(count), 0) + number(/Non-2xx or 3xx responses: (\d+)/),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(text)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(text)),
  };
}

function milliseconds(match) {
  if (match === null) return Number.NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1_000 }[match[2]];
}

function output(command, args) {
  return new Promise((resolve, reject) => {
    execFile(command, args, { maxBuffer: 1 << 20 }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    );
  });
}

/** The body at `url`, by a client that is none of the measured programs. */
export function bodyOf(url) {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(chunks) }));
    }).on("error", reject);
  });
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

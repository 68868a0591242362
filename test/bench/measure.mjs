// What a bench run is made of: programs pinned to a core, their CPU time from /proc, and wrk's own count of requests.
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

const TICKS_A_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** A folder for what the programs read and write; it goes with this process. */
export function benchFolder() {
  const folder = mkdtempSync(path.join(tmpdir(), "smartstack-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  return folder;
}

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
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  let ended = false;
  child.once("exit", () => {
    ended = true;
    process.off("exit", kill);
  });
  for (const endMs = performance.now() + 15_000; !(await accepts(port)); await pause(50)) {
    if (ended || performance.now() > endMs) throw new Error(`${command} does not accept on port ${port}`);
  }
  return {
    pid: child.pid,
    async stop() {
      const gone = ended ? undefined : new Promise((resolve) => child.once("exit", resolve));
      // Whom it started would go on serving at its port for a while.
      if (!ended) for (const pid of familyOf(child.pid)) process.kill(pid, "SIGKILL");
      await gone;
      while (await accepts(port)) await pause(10);
    },
  };
}

/** CPU seconds, user and system, of one process. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop().split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** The same, of a process and of those that it started. */
export function cpuSecondsOfAll(pid) {
  return familyOf(pid).reduce((sum, each) => sum + cpuSeconds(each), 0);
}

/** A process and those that it started. */
function familyOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return [pid, ...children.flatMap((child) => familyOf(Number(child)))];
}

/** Resident memory, bytes. */
export function residentBytes(pid) {
  return memoryBytes(pid, "VmRSS");
}

/** Resident memory at its highest, bytes. */
export function peakBytes(pid) {
  return memoryBytes(pid, "VmHWM");
}

function memoryBytes(pid, name) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)[1]) * 1_024;
}

/** One load by wrk on one core: requests, errors, and the latencies it saw, milliseconds. */
export async function wrk(core, folder, { url, connections, seconds, close, headers = [], body }) {
  const args = ["-c", String(core), "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency"];
  for (const header of close ? [...headers, "Connection: close"] : headers) args.push("-H", header);
  if (body !== undefined) {
    const script = path.join(folder, "post.lua");
    writeFileSync(script, `wrk.method = "POST"\nwrk.body = "${body}"\n`);
    args.push("-s", script);
  }
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

/** The answer at `url`, by a client that is none of the measured programs. */
export function responseOf(url, { headers = [], body }) {
  const pairs = headers.map((line) => line.split(/: (.*)/s).slice(0, 2));
  const options = { agent: false, method: body === undefined ? "GET" : "POST", headers: Object.fromEntries(pairs) };
  return new Promise((resolve, reject) => {
    const asking = request(url, options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, body: Buffer.concat(chunks) }));
    });
    asking.on("error", reject);
    asking.end(body);
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

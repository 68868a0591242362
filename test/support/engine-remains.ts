import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { networkOfSlot, removeNetwork } from "./engine-network.ts";
import { alive, readPid, signal } from "./processes.ts";

const STOP_MS = 10_000;

/**
 * Takes an engine away with everything it made: containers, networks, processes, mounts, network, folder. Works
 * in whatever state it is found, also half-started or killed, and without await, so that it can run at process exit.
 */
export function removeEngine(folder: string, slot: number, docker: string): void {
  const socket = path.join(folder, "docker.sock");
  const pid = readPid(path.join(folder, "pid"));
  if (pid !== undefined && alive(pid)) {
    emptyEngine(docker, socket);
    signal(pid, "SIGTERM");
    waitUntilGone([pid]);
  }
  const rest = processesOf(folder);
  for (const process of rest) signal(process, "SIGKILL");
  waitUntilGone(rest);
  for (const mount of mountsBelow(folder)) execFileSync("umount", ["--lazy", mount], { timeout: 10_000 });
  removeNetwork(networkOfSlot(slot));
  rmSync(folder, { recursive: true, force: true });
}

/** Removes all containers and networks through the engine: it knows best how. Failing is fine, the rest is done by hand. */
function emptyEngine(docker: string, socket: string): void {
  const run = (...args: string[]): string =>
    execFileSync(docker, ["-H", `unix://${socket}`, ...args], { encoding: "utf8", timeout: 30_000, stdio: "pipe" });
  try {
    const containers = run("ps", "--all", "--quiet", "--no-trunc").split("\n").filter(Boolean);
    if (containers.length > 0) run("rm", "--force", "--volumes", ...containers);
    run("network", "prune", "--force");
  } catch (error) {
    process.stderr.write(`test engine did not empty itself: ${(error as Error).message}\n`);
  }
}

/** Processes whose command line names the folder (engine, containerd, shims), and all their descendants. */
function processesOf(folder: string): number[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const afterName = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop() ?? "";
      parents.set(pid, Number(afterName.split(" ")[1]));
      const isEngine = /^(dockerd|containerd|containerd-shim|runc)/.test(readFileSync(`/proc/${pid}/comm`, "utf8"));
      if (isEngine && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/`)) found.add(pid);
    } catch {
      // It ended while we looked.
    }
  }
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

function mountsBelow(folder: string): string[] {
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const below = mounts.map((line) => line.split(" ")[1] ?? "").filter((mount) => mount.startsWith(`${folder}/`));
  return below.reverse();
}

function waitUntilGone(pids: readonly number[]): void {
  const endMs = performance.now() + STOP_MS;
  const still = new Int32Array(new SharedArrayBuffer(4));
  while (pids.some(alive) && performance.now() < endMs) Atomics.wait(still, 0, 0, 20);
}

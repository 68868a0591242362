import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { SLOTS } from "./engine-network.ts";
import { removeEngine } from "./engine-remains.ts";

/** Room for one engine: a folder that is also the lock, and the number that its network follows from. */
export interface Slot {
  readonly number: number;
  readonly folder: string;
}

// Not below TMPDIR: containerd's sockets lie deep in this folder, and a socket's path is limited to 107 bytes.
const FOLDER = "/tmp/smartstack-engine-";
const HALF_MADE_MS = 60_000;

/** Takes the first free slot; what a killed test run left in one is removed first. @throws Error when all are in use. */
export function takeSlot(docker: string): Slot {
  for (let number = 0; number < SLOTS; number++) {
    const slot = { number, folder: `${FOLDER}${number}` };
    if (existsSync(slot.folder) && !claimAbandoned(slot, docker)) continue;
    try {
      mkdirSync(slot.folder, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw error;
    }
    writeFileSync(path.join(slot.folder, "owner"), identity(process.pid) ?? "");
    return slot;
  }
  throw new Error(`all ${SLOTS} test engines are in use: look for ${FOLDER}*`);
}

/** Removes the engine in a slot whose owner is gone. Renaming the owner file decides who of several may do that. */
function claimAbandoned(slot: Slot, docker: string): boolean {
  const owner = path.join(slot.folder, "owner");
  try {
    const was = readFileSync(owner, "utf8");
    if (identity(Number(was.split(" ")[0])) === was) return false;
    renameSync(owner, `${owner}.${process.pid}`);
  } catch {
    // No owner file: another run is just making or removing this one, or was killed while it did.
    if (!existsSync(slot.folder)) return true;
    if (Date.now() - statSync(slot.folder).mtimeMs < HALF_MADE_MS) return false;
  }
  removeEngine(slot.folder, slot.number, docker);
  rmSync(slot.folder, { recursive: true, force: true });
  return true;
}

/** A process id with its start time, since ids are reused; undefined when there is no such process. */
function identity(pid: number): string | undefined {
  try {
    return `${pid} ${(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop() ?? "").split(" ")[19]}`;
  } catch {
    return undefined;
  }
}

import { type FileHandle, mkdir, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, encodeNodeEntry, type NodeEntry, withDeadline } from "@smartstack/core";
import { nodePath } from "../contents.ts";
import { refused, unreachable } from "../session.ts";
import { type Disk, isMissing } from "./disk.ts";

const CALL_MS_MAX = 3_000;
const COUNTER_DIGITS = 12;

/** A nerve's hold on its node entry: the file it made, kept open. */
export interface NodeFileHold {
  /** @throws StackError REGISTRY_FENCED, REGISTRY_SESSION_LOST when another file lies at its place, or none. */
  assertOurs(): Promise<void>;
  /** Moves the counter. @throws as assertOurs */
  renew(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Puts our node entry in the place of whatever is there. The counter is then written into this very file, not into
 * whatever lies at its path: a nerve that was replaced turns the pages of a book that nobody reads.
 */
export async function takeNodeFile(disk: Disk, owner: NodeEntry, clock: Clock): Promise<NodeFileHold> {
  const path = nodePath(owner.node);
  const at = disk.fileOf(path);
  const call = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      return await withDeadline(work, { clock, ms: CALL_MS_MAX, what, side: "registry" });
    } catch (error) {
      throw unreachable(what, error);
    }
  };
  let counter = 0;
  const handle = await call(`write ${at}`, place(at, textOf(owner, counter), owner.boot));
  const ours = await call(`look at ${at}`, identity(handle));

  const assertOurs = async (): Promise<void> => {
    const there = await call(`look at ${at}`, identity(at));
    if (there !== ours) throw refused(owner, await disk.read(path));
  };
  const hold: NodeFileHold = {
    assertOurs,
    async renew() {
      await assertOurs();
      const text = textOf(owner, ++counter);
      await call(`renew ${at}`, handle.write(text, 0));
    },
    release: () => call(`close ${at}`, handle.close()),
  };
  try {
    // Of two that take over at once, one finds the other's file.
    await assertOurs();
  } catch (error) {
    await hold.release();
    throw error;
  }
  return hold;
}

/** The node entry with its counter, always the same number of bytes, so that a reader never sees the end of a longer one. */
function textOf(owner: NodeEntry, counter: number): string {
  return `${encodeNodeEntry(owner).slice(0, -1)},"counter":${String(counter).padStart(COUNTER_DIGITS)}}\n`;
}

async function place(at: string, text: string, tag: string): Promise<FileHandle> {
  await mkdir(dirname(at), { recursive: true });
  const temp = `${at}.${encodeURIComponent(tag)}.tmp`;
  const handle = await open(temp, "w", 0o644);
  try {
    await handle.write(text, 0);
    await handle.sync();
    await rename(temp, at);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Undefined when there is no such file. */
async function identity(what: FileHandle | string): Promise<string | undefined> {
  try {
    const { dev, ino } =
      typeof what === "string" ? await stat(what, { bigint: true }) : await what.stat({ bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

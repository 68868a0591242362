import { type FileHandle, stat } from "node:fs/promises";
import { type Clock, encodeNodeEntry, type NodeEntry, withDeadline } from "@smartstack/core";
import { nodePath } from "../contents.ts";
import { refused, sessionLost, unreachable } from "../session.ts";
import { type Disk, isMissing } from "./disk.ts";
import { putWhole } from "./whole-file.ts";

const CALL_MS_MAX = 3_000;
const COUNTER_DIGITS = 12;

/** A nerve's hold on its node entry: the file it made, kept open. */
export interface NodeFileHold {
  /** @throws StackError REGISTRY_FENCED, REGISTRY_SESSION_LOST when another file lies at its place, or none, or after release(). */
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
  const call: Call = async (what, work) => {
    try {
      return await withDeadline(work, { clock, ms: CALL_MS_MAX, what, side: "registry" });
    } catch (error) {
      throw unreachable(what, error);
    }
  };
  let counter = 0;
  let released = false;
  const handle = await placed(at, textOf(owner, counter), owner.boot, call);
  let ours: string | undefined;

  const assertOurs = async (): Promise<void> => {
    if (released) throw sessionLost(`the node entry of ${owner.node} was let go of`);
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
    release() {
      released = true;
      return call(`close ${at}`, handle.close());
    },
  };
  try {
    ours = await call(`look at ${at}`, identity(handle));
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

type Call = <T>(what: string, work: Promise<T>) => Promise<T>;

async function placed(at: string, text: string, tag: string, call: Call): Promise<FileHandle> {
  const late = new AbortController();
  const placing = putWhole(at, `${at}.${encodeURIComponent(tag)}.tmp`, text, late.signal);
  try {
    return await call(`write ${at}`, placing);
  } catch (error) {
    late.abort();
    // Nobody waits for the file any more. That it could not be placed is what `error` says.
    placing.then(
      (handle) => handle.close(),
      () => undefined,
    );
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

import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Clock, DOCUMENT_BYTES_MAX, withDeadline } from "@smartstack/core";
import { unreachable } from "../session.ts";

/** A shared volume may hang; whatever is asked of it ends within this. */
const DISK_MS_MAX = 10_000;

const SUFFIX = ".json";

/** What a file is, as far as one can tell without reading it. */
export interface Seen {
  readonly signature: string;
}

/** The calls on a registry's directory, each with a deadline. Paths are relative to it and without their suffix: `web/abc-80`. */
export interface Disk {
  /** Names of folders, or of entries without their suffix; undefined when there is no such folder. */
  folders(): Promise<string[] | undefined>;
  entries(folder: string): Promise<string[]>;
  see(path: string): Promise<Seen | undefined>;
  /** At most one byte more than a document may have. */
  read(path: string): Promise<string | undefined>;
  /** Whole or not at all, also after a crash: temp name, fsync, rename. Makes its folder. */
  write(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
  makeRoot(): Promise<void>;
  fileOf(path: string): string;
}

/** `tag` keeps the temp files of two processes apart. */
export function diskAt(root: string, clock: Clock, tag: string): Disk {
  const fileOf = (path: string): string => join(root, `${path}${SUFFIX}`);
  const call = async <T>(what: string, work: Promise<T>): Promise<T> => {
    try {
      return await withDeadline(work, { clock, ms: DISK_MS_MAX, what, side: "registry" });
    } catch (error) {
      throw unreachable(what, error);
    }
  };
  const present = <T>(what: string, work: Promise<T>): Promise<T | undefined> =>
    call(
      what,
      work.catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      }),
    );
  return {
    fileOf,
    async folders() {
      const found = await present(`list ${root}`, readdir(root, { withFileTypes: true }));
      return found?.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },
    async entries(folder) {
      const names = (await present(`list ${join(root, folder)}`, readdir(join(root, folder)))) ?? [];
      return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
    },
    async see(path) {
      const found = await present(`look at ${fileOf(path)}`, stat(fileOf(path), { bigint: true }));
      if (found === undefined || !found.isFile()) return undefined;
      return { signature: `${found.dev}:${found.ino}:${found.ctimeNs}:${found.mtimeNs}:${found.size}` };
    },
    read: (path) => present(`read ${fileOf(path)}`, readBounded(fileOf(path))),
    write: (path, text) => call(`write ${fileOf(path)}`, writeWhole(fileOf(path), `${fileOf(path)}.${tag}.tmp`, text)),
    remove: (path) => call(`remove ${fileOf(path)}`, rm(fileOf(path), { force: true })),
    async makeRoot() {
      await call(`make ${root}`, mkdir(root, { recursive: true }));
    },
  };
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

async function readBounded(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(DOCUMENT_BYTES_MAX + 1), 0, DOCUMENT_BYTES_MAX + 1, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function writeWhole(file: string, temp: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const handle = await open(temp, "w", 0o644);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temp, file);
}

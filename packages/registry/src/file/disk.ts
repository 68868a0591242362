import { constants } from "node:fs";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, DOCUMENT_BYTES_MAX, withDeadline } from "@smartstack/core";
import { unreachable } from "../session.ts";
import { putWhole } from "./whole-file.ts";

/** A shared volume may hang; whatever is asked of it ends within this. */
const DISK_MS_MAX = 10_000;

const SUFFIX = ".json";
const TEMP = /\.json\.[^.]+\.tmp$/;
const TEMP_MS_MAX = 3_600_000;

/** What a name that looks like an entry's may turn out to be. Whoever put it there must not stop the rest. */
const FOREIGN: ReadonlySet<string | undefined> = new Set([
  "EISDIR",
  "EACCES",
  "EPERM",
  "ELOOP",
  "ENXIO",
  "ESPIPE",
  "EAGAIN",
]);

/** What a file is, as far as one can tell without reading it. */
export interface Seen {
  readonly signature: string;
}

export interface Folder {
  /** Another one when the folder was replaced by another. */
  readonly identity: string;
  /** When something came to it, went, or was replaced, in milliseconds of the volume's clock. */
  readonly changedMs: number;
}

/** The calls on a registry's directory, each with a deadline. Paths are relative to it and without their suffix: `web/abc-80`. */
export interface Disk {
  /** Names of folders, or of entries without their suffix; undefined when there is no such folder. */
  folders(): Promise<string[] | undefined>;
  entries(folder: string): Promise<string[]>;
  see(path: string): Promise<Seen | undefined>;
  /** The root, as "", and these folders, as far as they are there. */
  seeFolders(folders: readonly string[]): Promise<ReadonlyMap<string, Folder>>;
  /** At most one byte more than a document may have; nothing of what is no file, or not for us to read. */
  read(path: string): Promise<string | undefined>;
  /** Whole or not at all, also after a crash. Makes its folder. */
  write(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
  makeRoot(): Promise<void>;
  /** Deletes a folder's temp files that nobody has written to for an hour: a crash left them. */
  clean(folder: string): Promise<void>;
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
      const found = await present(`look at ${fileOf(path)}`, unlessForeign(stat(fileOf(path), { bigint: true })));
      if (found === undefined || !found.isFile()) return undefined;
      return { signature: `${found.dev}:${found.ino}:${found.ctimeNs}:${found.mtimeNs}:${found.size}` };
    },
    async seeFolders(folders) {
      const found = new Map<string, Folder>();
      const look = async (folder: string): Promise<void> => {
        const at = await present(`look at ${join(root, folder)}`, stat(join(root, folder)));
        // Inodes are used again at once; the time of birth tells two of them apart.
        if (at !== undefined)
          found.set(folder, { identity: `${at.dev}:${at.ino}:${at.birthtimeMs}`, changedMs: at.mtimeMs });
      };
      await Promise.all(["", ...folders].map(look));
      return found;
    },
    read: (path) =>
      present(
        `read ${fileOf(path)}`,
        unlessForeign(readBounded(fileOf(path))).then((text) => text ?? ""),
      ),
    write: (path, text) => call(`write ${fileOf(path)}`, writeWhole(fileOf(path), `${fileOf(path)}.${tag}.tmp`, text)),
    remove: (path) => call(`remove ${fileOf(path)}`, rm(fileOf(path), { force: true })),
    clean: (folder) => call(`clean ${folder}`, removeTemps(join(root, folder), clock.now() - TEMP_MS_MAX)),
    async makeRoot() {
      await call(`make ${root}`, mkdir(root, { recursive: true }));
    },
  };
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Undefined for what is not for us to look at. */
async function unlessForeign<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (FOREIGN.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

async function readBounded(file: string): Promise<string> {
  // Opening a named pipe would wait for its writer.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const size = DOCUMENT_BYTES_MAX + 1;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function removeTemps(folder: string, beforeMs: number): Promise<void> {
  for (const name of (await readdir(folder)).filter((name) => TEMP.test(name))) {
    try {
      const file = join(folder, name);
      if ((await stat(file)).mtimeMs < beforeMs) await rm(file, { force: true });
    } catch (error) {
      // Its writer has renamed it meanwhile.
      if (!isMissing(error)) throw error;
    }
  }
}

async function writeWhole(file: string, temp: string, text: string): Promise<void> {
  const handle = await putWhole(file, temp, text);
  await handle.close();
}

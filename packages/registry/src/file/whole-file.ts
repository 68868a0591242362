import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** What file systems say that know no fsync of a directory: they keep a rename by themselves, or not at all. */
const NO_FOLDER_SYNC: ReadonlySet<string | undefined> = new Set(["EINVAL", "ENOTSUP", "EPERM", "EISDIR"]);

/**
 * Puts a file in its place whole or not at all, also after a crash: temp name, fsync, rename, fsync of the directory, and of
 * the parent where the directory is new. Returns the file, still open. Nothing is renamed once `givenUp` has aborted.
 */
export async function putWhole(file: string, temp: string, text: string, givenUp?: AbortSignal): Promise<FileHandle> {
  const folder = dirname(file);
  const made = await mkdir(folder, { recursive: true });
  const handle = await open(temp, "w", 0o644);
  try {
    await handle.writeFile(text);
    await handle.sync();
    givenUp?.throwIfAborted();
    await rename(temp, file);
    await syncFolder(folder);
    if (made !== undefined) await syncFolder(dirname(made));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    if (!NO_FOLDER_SYNC.has((error as NodeJS.ErrnoException).code)) throw error;
  } finally {
    await handle.close();
  }
}

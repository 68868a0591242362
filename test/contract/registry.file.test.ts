import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { registryContract } from "./registry.suite.ts";
import { NEEDS } from "./registry-cases-disruption.ts";
import type { ServerControl } from "./registry-harness.ts";
import { openers } from "./registry-real-harness.ts";

const TTL_MS = 3_000;

async function readTree(root: string): Promise<Map<string, string>> {
  const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".json"));
  const pairs = names.map(
    async (name) => [name.slice(0, -".json".length), await readFile(join(root, name), "utf8")] as const,
  );
  return new Map(await Promise.all(pairs));
}

async function writeForeign(file: string, text: string | undefined): Promise<void> {
  if (text === undefined) return rm(file, { force: true });
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.foreign`, text);
  await rename(`${file}.foreign`, file);
}

const unfreezable = NEEDS.freeze.map((name) => [name, "a directory does not freeze"]);

/** A volume that is unmounted, and mounted again. */
function volumeOf(root: string): ServerControl {
  const away = `${root}.away`;
  return {
    async kill() {
      await mkdir(root, { recursive: true });
      await rename(root, away);
      // In its place lies what nobody can use as a directory.
      await writeFile(root, "");
    },
    async start() {
      await rm(root);
      await rename(away, root);
    },
  };
}

registryContract(
  "file",
  async () => {
    const base = await mkdtemp(join(tmpdir(), "smartstack-file-"));
    let cases = 0;
    return {
      ttlMs: TTL_MS,
      goneMs: TTL_MS + 2_000,
      fresh() {
        const root = join(base, `case${cases++}`);
        return {
          ...openers({ type: "file", prefix: root, ttl: TTL_MS }),
          server: volumeOf(root),
          read: () => readTree(root),
          foreign: (path, text) => writeForeign(join(root, `${path}.json`), text),
          wipe: () => rm(root, { recursive: true, force: true }),
          done: () => rm(root, { recursive: true, force: true }),
        };
      },
      stop: () => rm(base, { recursive: true, force: true }),
    };
  },
  { skip: Object.fromEntries(unfreezable) },
);

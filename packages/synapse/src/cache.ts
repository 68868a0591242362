import { mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Clock,
  decodeInstance,
  describeError,
  type EventBus,
  encodeInstance,
  type Instance,
  instanceIdProblem,
  StackError,
  serviceNameProblem,
  withDeadline,
} from "@smartstack/core";
import { z } from "zod";

/** Instances by id, by service. */
export type CachedView = ReadonlyMap<string, ReadonlyMap<string, Instance>>;

/** More than any view: 100,000 instances of 600 bytes. A bigger file is not ours. */
const CACHE_BYTES_MAX = 64 * 1024 * 1024;

/** A start must not wait for a sick disk: what cannot be read by then is not served. */
const READ_DEADLINE_MS = 1_000;
const WRITE_DEADLINE_MS = 5_000;
const WRITE_EVERY_MS = 1_000;

const format = z.object({ v: z.number(), services: z.record(z.string(), z.record(z.string(), z.string())) });

export interface CacheDeps {
  readonly clock: Clock;
  readonly events: EventBus;
}

/** The last view on disk, so that a start without a registry has something to serve. */
export interface Cache {
  /** What an earlier run left; empty, with an event `cache.failed`, when it cannot be read or is torn. Never rejects. */
  load(): Promise<CachedView>;
  /** Has `take` asked for the newest view within a second, and writes that. */
  changed(): void;
  /** Writes what is due and stops. Never rejects. */
  close(): Promise<void>;
}

/** The file a cache folder holds. */
export function cacheFile(folder: string): string {
  return join(folder, "view.json");
}

export function openCache(folder: string, take: () => CachedView, deps: CacheDeps): Cache {
  const { clock, events } = deps;
  const file = cacheFile(folder);
  let due: (() => void) | undefined;
  let written: string | undefined;
  let writing: Promise<void> = Promise.resolve();

  const fail = (error: unknown): void => events.publish("cache.failed", { file, reason: describeError(error) });

  async function write(): Promise<void> {
    const text = encodeView(take());
    if (text === written) return;
    try {
      const work = replaceFile(file, text);
      await withDeadline(work, { clock, ms: WRITE_DEADLINE_MS, what: `writing ${file}`, side: "self" });
      written = text;
    } catch (error) {
      fail(error);
    }
  }

  function flush(): void {
    due?.();
    due = undefined;
    writing = writing.then(write);
  }

  return {
    async load() {
      try {
        const read = readView(file);
        const view = await withDeadline(read, { clock, ms: READ_DEADLINE_MS, what: `reading ${file}`, side: "self" });
        if (view === undefined) return new Map();
        events.publish("cache.loaded", { file, services: view.size });
        return view;
      } catch (error) {
        fail(error);
        return new Map();
      }
    },
    changed() {
      due ??= clock.after(WRITE_EVERY_MS, flush, { background: true });
    },
    async close() {
      if (due !== undefined) flush();
      await writing;
    },
  };
}

/** The wire form: documents as they lie in a registry, so that one reader serves both. */
function encodeView(view: CachedView): string {
  const services: Record<string, Record<string, string>> = {};
  for (const [name, instances] of view) {
    services[name] = Object.fromEntries([...instances].map(([id, instance]) => [id, encodeInstance(instance)]));
  }
  return JSON.stringify({ v: 1, services });
}

/** @returns undefined when there is no file. @throws when it cannot be read or is not a cache. */
async function readView(file: string): Promise<CachedView | undefined> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > CACHE_BYTES_MAX) throw damaged(file, `it has ${size} bytes`);
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return decodeView(file, text);
}

function decodeView(file: string, text: string): CachedView {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (cause) {
    throw damaged(file, "it is torn or not JSON", cause);
  }
  const parsed = format.safeParse(raw);
  if (!parsed.success) throw damaged(file, "it does not look like a cached view");
  const view = new Map<string, ReadonlyMap<string, Instance>>();
  for (const [name, documents] of Object.entries(parsed.data.services)) {
    if (serviceNameProblem(name) !== undefined) throw damaged(file, `it names a service ${JSON.stringify(name)}`);
    const instances = new Map<string, Instance>();
    for (const [id, document] of Object.entries(documents)) {
      if (instanceIdProblem(id) !== undefined) throw damaged(file, `it names an instance ${JSON.stringify(id)}`);
      instances.set(id, decodeInstance(document));
    }
    view.set(name, instances);
  }
  return view;
}

/** All or nothing, also over a power cut: a reader sees the old file or the whole new one. */
async function replaceFile(file: string, text: string): Promise<void> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  // One writer at a time per process: the name need not be unique beyond that.
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, "w", 0o644);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

function damaged(file: string, what: string, cause?: unknown): StackError {
  const message = `${file} is ignored: ${what}; delete it if this stays`;
  return new StackError("DOCUMENT_INVALID", message, { side: "self", retry: "never", cause });
}

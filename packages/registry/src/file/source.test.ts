import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, encodeNodeEntry, systemClock } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { diskAt } from "./disk.ts";
import { fileSource } from "./source.ts";

const kernel = vi.hoisted(() => ({ refuses: false }));

vi.mock("chokidar", async (original) => {
  const real = await original<typeof import("chokidar")>();
  const watch: typeof real.watch = (...args) => {
    const watcher = real.watch(...args);
    if (!kernel.refuses) return watcher;
    void watcher.close();
    const deaf = new real.FSWatcher();
    setImmediate(() => deaf.emit("error", Object.assign(new Error("no watch left"), { code: "ENOSPC" })));
    return deaf;
  };
  return { ...real, watch };
});

const POLL_MS = 1_000;
let base: string;
let root: string;
let stop: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "smartstack-source-"));
  root = join(base, "registry");
  await mkdir(join(root, "web"), { recursive: true });
  write("a");
  stop = new AbortController();
});
afterEach(async () => {
  kernel.refuses = false;
  stop.abort();
  await running;
  await rm(base, { recursive: true, force: true });
});

const document = (port: number): string => JSON.stringify({ host: "h", port });

/** Without a pause, so that no look falls between what a test does at once. */
function write(id: string, port = 1, service = join(root, "web")): void {
  const file = join(service, `${id}.json`);
  writeFileSync(`${file}.x.tmp`, document(port));
  renameSync(`${file}.x.tmp`, file);
}

/** A source whose polls happen when the test says so. */
function follow() {
  const polls = new Set<() => void>();
  const errors: unknown[] = [];
  let monotonicMs = 0;
  let looks = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => monotonicMs,
    after(ms, run) {
      if (ms !== POLL_MS) return systemClock.after(ms, run);
      polls.add(run);
      return () => polls.delete(run);
    },
  };
  const held = new Map<string, string>();
  const source = fileSource({
    root,
    disk: diskAt(root, clock, "t"),
    ttlMs: 3_000,
    clock,
    onError: (error) => errors.push(error),
    onProof: () => looks++,
    onDead: () => undefined,
  });
  /** Begins anew whenever it ends, as the mirror does. */
  const run = async (): Promise<void> => {
    const { signal } = stop;
    while (!signal.aborted) {
      await source(
        {
          reset(all) {
            held.clear();
            for (const [path, { text }] of all) held.set(path, text);
          },
          apply(changes) {
            for (const [path, now] of changes) {
              if (now === undefined) held.delete(path);
              else held.set(path, now.text);
            }
          },
        },
        signal,
      ).catch(() => new Promise((resolve) => setTimeout(resolve, 10)));
    }
  };
  const start = (): void => {
    held.clear();
    running = run();
  };
  const poll = async (): Promise<void> => {
    await until(() => polls.size > 0, { what: "waiting" });
    const before = looks;
    monotonicMs += POLL_MS;
    for (const run of [...polls]) run();
    polls.clear();
    await until(() => looks > before, { what: "looked" });
  };
  const shows = (path: string, port?: number) =>
    until(() => (port === undefined ? held.has(path) : held.get(path) === document(port)), { what: `${path} ${port}` });
  /** Reads all there was, and watches. */
  const settled = async (): Promise<void> => {
    start();
    await shows("web/a");
    // Once for itself, once because the watch is in place.
    await until(() => looks >= 2, { what: "watching" });
  };
  return { start, poll, shows, settled, held, errors };
}

describe("without a poll, notifications alone show", () => {
  it("a file that is replaced by rename, three times", async () => {
    const seen = follow();
    await seen.settled();
    for (const port of [2, 3, 4]) {
      write("a", port);
      await seen.shows("web/a", port);
    }
  });

  it("a file that is unlinked and made again, and what is written to it later", async () => {
    const seen = follow();
    await seen.settled();
    for (const port of [2, 3, 4]) {
      rmSync(join(root, "web", "a.json"));
      write("a", port);
      await seen.shows("web/a", port);
    }
  });

  it("a service's folder that is new", async () => {
    const seen = follow();
    await seen.settled();
    mkdirSync(join(root, "db"));
    write("b", 1, join(root, "db"));
    await seen.shows("db/b");
  });
});

describe("one poll after the directory was exchanged, notifications show again", () => {
  it("what changes in a root that was deleted and made again", async () => {
    const seen = follow();
    await seen.settled();
    renameSync(root, join(base, "old"));
    mkdirSync(join(root, "web"), { recursive: true });
    write("b");
    await seen.poll();
    await seen.shows("web/b");
    for (const port of [2, 3]) {
      write("b", port);
      await seen.shows("web/b", port);
    }
  });

  it("what changes behind a root whose link was turned", async () => {
    await rename(root, join(base, "v1"));
    await mkdir(join(base, "v2", "web"), { recursive: true });
    await symlink("v1", root);
    const seen = follow();
    await seen.settled();
    write("b", 1, join(base, "v2", "web"));
    await symlink("v2", `${root}.new`);
    await rename(`${root}.new`, root);
    await seen.poll();
    await seen.shows("web/b");
    for (const port of [2, 3]) {
      write("b", port);
      await seen.shows("web/b", port);
    }
  });

  it("what changes in a service's folder that was deleted and made again", async () => {
    const seen = follow();
    await seen.settled();
    rmSync(join(root, "web"), { recursive: true });
    mkdirSync(join(root, "web"));
    write("b");
    await seen.shows("web/b");
    for (const port of [2, 3]) {
      write("b", port);
      await seen.shows("web/b", port);
    }
  });
});

it("shows by poll what grew in pieces, each piece as it lies there", async () => {
  const seen = follow();
  await seen.settled();
  const text = document(7);
  const file = join(root, "web", "grown.json");
  await writeFile(file, text.slice(0, 5));
  await seen.poll();
  await until(() => seen.held.get("web/grown") === text.slice(0, 5), { what: "the first piece" });
  await appendFile(file, text.slice(5));
  await seen.poll();
  await seen.shows("web/grown", 7);
});

it("polls on when the kernel gives no watch, and says so", async () => {
  kernel.refuses = true;
  const seen = follow();
  seen.start();
  await seen.shows("web/a");
  write("b");
  await seen.poll();
  await seen.shows("web/b");
  expect(seen.errors).toHaveLength(1);
});

it("remembers across a restart which heartbeats stood still", async () => {
  await mkdir(join(root, ".nodes"));
  await writeFile(join(root, ".nodes", "n.json"), encodeNodeEntry({ node: "n", boot: "b", since: 0, host: "h" }));
  const seen = follow();
  await seen.settled();
  expect(seen.held.has(".nodes/n")).toBe(true);
  for (let second = 1; second <= 3; second++) await seen.poll();
  expect(seen.held.has(".nodes/n")).toBe(false);
  stop.abort();
  await running;
  stop = new AbortController();
  seen.start();
  await seen.shows("web/a");
  expect(seen.held.has(".nodes/n")).toBe(false);
});

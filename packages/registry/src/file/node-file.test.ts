import { mkdir, mkdtemp, readdir, readFile, readlink, rm, utimes } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@smartstack/core";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { diskAt } from "./disk.ts";
import { takeNodeFile } from "./node-file.ts";
import { cleanTemps } from "./sweep.ts";

/** What the file system is asked for, in order, and where it does not answer. */
const calls = vi.hoisted(() => ({
  made: [] as string[],
  open: undefined as Promise<void> | undefined,
  beforeRename: undefined as Promise<void> | undefined,
  afterRename: undefined as Promise<void> | undefined,
}));

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    async open(file: string, ...args: [string?, number?]) {
      calls.made.push(`open ${file}`);
      await calls.open;
      const handle = await real.open(file, ...args);
      const sync = handle.sync.bind(handle);
      handle.sync = () => {
        calls.made.push(`sync ${file}`);
        return sync();
      };
      return handle;
    },
    async rename(from: string, to: string) {
      calls.made.push(`rename ${to}`);
      await calls.beforeRename;
      await real.rename(from, to);
      await calls.afterRename;
    },
  };
});

const OWNER = { node: "n", boot: "b", since: 0, host: "h" };
const HANG = new Promise<never>(() => undefined);
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "smartstack-node-file-"));
  Object.assign(calls, { made: [], open: undefined, beforeRename: undefined, afterRename: undefined });
});
afterEach(() => rm(root, { recursive: true, force: true }));

function gate(): { readonly closed: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { closed, open: () => open() };
}

/** Files below the root that this process holds open. */
async function heldOpen(): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((file) => file.startsWith(root));
}

const asked = (what: string) => until(() => calls.made.some((call) => call.startsWith(what)), { what });

it("lets go of a node entry that is placed after its deadline", async () => {
  const clock = fakeClock();
  const hung = gate();
  calls.afterRename = hung.closed;
  const taking = takeNodeFile(diskAt(root, clock, "t"), OWNER, clock);
  const outcome = expect(taking).rejects.toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  await asked("rename");
  await clock.advance(3_000);
  await outcome;
  expect(await heldOpen()).not.toEqual([]);
  hung.open();
  await until(async () => (await heldOpen()).length === 0, { what: "nothing is open" });
});

it("puts no node entry in its place after its deadline", async () => {
  const clock = fakeClock();
  const hung = gate();
  calls.open = hung.closed;
  const taking = takeNodeFile(diskAt(root, clock, "t"), OWNER, clock);
  const outcome = expect(taking).rejects.toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  await asked("open");
  await clock.advance(3_000);
  await outcome;
  hung.open();
  await asked("sync");
  await until(async () => (await heldOpen()).length === 0, { what: "nothing is open" });
  expect(calls.made.filter((call) => call.startsWith("rename"))).toEqual([]);
});

it("owns nothing any more once it was released", async () => {
  const hold = await takeNodeFile(diskAt(root, systemClock, "t"), OWNER, systemClock);
  await hold.assertOurs();
  await hold.release();
  await expect(hold.assertOurs()).rejects.toMatchObject({ code: "REGISTRY_SESSION_LOST" });
  await expect(hold.renew()).rejects.toMatchObject({ code: "REGISTRY_SESSION_LOST" });
  expect(await heldOpen()).toEqual([]);
});

it("brings file, directory and a new directory's parent to the disk, in this order", async () => {
  const disk = diskAt(root, systemClock, "t");
  await disk.write("web/a", "{}");
  const file = join(root, "web", "a.json");
  const steps = calls.made.filter((call) => !call.startsWith("open"));
  expect(steps).toEqual([`sync ${file}.t.tmp`, `rename ${file}`, `sync ${join(root, "web")}`, `sync ${root}`]);
  calls.made.length = 0;
  const hold = await takeNodeFile(disk, OWNER, systemClock);
  expect(calls.made).toContain(`sync ${join(root, ".nodes")}`);
  await hold.release();
});

it("keeps the old version when its writer dies before the rename, and litter for an hour only", async () => {
  const disk = diskAt(root, systemClock, "t");
  await mkdir(join(root, ".nodes"));
  await disk.write("web/a", "old");
  calls.made.length = 0;
  calls.beforeRename = HANG;
  disk.write("web/a", "new").catch(() => undefined);
  await asked("rename");
  const temp = join(root, "web", "a.json.t.tmp");
  expect(await readFile(temp, "utf8")).toBe("new");
  expect(await disk.read("web/a")).toBe("old");
  expect(await disk.entries("web")).toEqual(["a"]);
  await cleanTemps(disk);
  expect(await readdir(join(root, "web"))).toContain("a.json.t.tmp");
  await utimes(temp, 1, 1);
  await cleanTemps(disk);
  expect(await readdir(join(root, "web"))).toEqual(["a.json"]);
});

import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, type NodeEntry, systemClock } from "@smartstack/core";
import { seededRandom, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { WITHDRAW_MS_MAX } from "../last-word.ts";
import { fileRegistry, WITHDRAWAL_SEEN_MS } from "./registry.ts";

const broken = vi.hoisted(() => ({ openSession: false }));

vi.mock("../session.ts", async (original) => {
  const real = await original<typeof import("../session.ts")>();
  return {
    ...real,
    openSession(options: Parameters<typeof real.openSession>[0]) {
      if (broken.openSession) throw new Error("the copy ended");
      return real.openSession(options);
    },
  };
});

const NEVER = new AbortController().signal;
const OWNER: NodeEntry = { node: "n", boot: "b", since: 0, host: "h" };
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "smartstack-file-registry-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

function open(clock = systemClock) {
  const config = { type: "file" as const, prefix: root, ttl: 3_000 };
  return fileRegistry(config, { clock, random: seededRandom(1), events: eventBus() });
}

/** Files below the root that this process holds open. */
async function heldOpen(): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((file) => file.startsWith(root) && file.endsWith(".json"));
}

it("holds nothing after an announcement that failed", async () => {
  const registry = open();
  broken.openSession = true;
  try {
    await expect(registry.announce(OWNER, [], NEVER)).rejects.toThrow("the copy ended");
  } finally {
    broken.openSession = false;
  }
  await until(async () => (await heldOpen()).length === 0, { what: "its node entry is let go of" });
  await registry.close();
});

it("withdraws nothing more once it stopped waiting for that", async () => {
  let held = false;
  let giveUp: (() => void) | undefined;
  let goOn: (() => void) | undefined;
  const nothing = (): void => undefined;
  // Closing gives up in the pause between the instances and the node entry, which ends when the test says so.
  const clock: typeof systemClock = {
    ...systemClock,
    after(ms, run) {
      if (!held || (ms !== WITHDRAW_MS_MAX && ms !== WITHDRAWAL_SEEN_MS)) return systemClock.after(ms, run);
      if (ms === WITHDRAW_MS_MAX) giveUp = run;
      else {
        goOn = run;
        giveUp?.();
      }
      return nothing;
    },
  };
  const registry = open(clock);
  const session = await registry.announce(
    OWNER,
    [{ service: "web", id: "a", instance: { host: "h", port: 1 } }],
    NEVER,
  );
  held = true;
  await session.close("withdraw");
  expect(await readdir(join(root, "web"))).toEqual([]);
  await until(async () => (await heldOpen()).length === 0, { what: "let go of" });
  goOn?.();
  // As many calls as a withdrawal would need, and many more.
  for (let call = 0; call < 100; call++)
    expect(await readFile(join(root, ".nodes", "n.json"), "utf8")).toContain('"boot":"b"');
  await registry.close();
});

import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { encodeInstance } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { timed } from "../support/pauses.ts";
import {
  announced,
  type CaseContext,
  followed,
  idsOf,
  NEVER,
  nodesAre,
  OUTLASTING_MS,
  owner,
  type RegistryCase,
  record,
  records,
  scene,
} from "./registry-case.ts";
import { SAYS_WHEN_AWAY, SERVICES_COME_BACK, WRITES_FAIL_IN_TIME } from "./registry-cases-life.ts";
import type { ServerControl } from "./registry-harness.ts";

export const KEPT_FOR_A_TTL = "what is kept is kept for one whole ttl from the close on";
export const OWNER_KILLED = "an owner killed with -9 is gone in time, as one batch";
const SERVER_RESTART = "a server restart ends in a reset with the truth";
export const MISSED = "what changed during an outage arrives with a reset";
const FROZEN = "a frozen server is noticed, and the thawed one is used again";
const CLOSE_FROZEN = "close ends within 2 s of a frozen server";
const OUTLIVES = "a process outlives whatever its server does, and ends in time with 0";
const BEFORE_SERVER = "works when it was opened before its server";

async function keptForAWholeTtl(context: CaseContext): Promise<void> {
  const { ttlMs, goneMs } = context;
  const { session, follower } = await scene(context, records("web", 1));
  // Nearly until the next renewal: a third of the ttl would be gone already.
  await pause(ttlMs * 0.3);
  // Before: what it renews last lies behind this for certain.
  const closedMs = performance.now();
  await session.close("keep");
  await until(() => follower.names().length === 0, { what: "gone", timeoutMs: goneMs + 5_000, everyMs: 10 });
  const livedMs = performance.now() - closedMs;
  assert.ok(livedMs >= ttlMs * 0.95, `lived on for ${Math.round(livedMs)} of ${ttlMs} ms`);
}

async function killedOwnerGoesAtOnce(context: CaseContext): Promise<void> {
  const { bench, goneMs } = context;
  const follower = followed(context, await context.open(), "web");
  const process = await (bench.owner ?? assert.fail("no owner process"))("node-k", "web", 20);
  context.defer(() => process.kill());
  const isWhole = (): boolean => follower.names().length === 20 && nodesAre(context, follower, "node-k");
  await until(isWhole, { what: "announced" });
  const whole = follower.history.length - 1;
  process.kill();
  const gone = (): boolean => follower.names().length === 0;
  const tookMs = await timed(() => until(gone, { what: "gone", timeoutMs: goneMs + 5_000, everyMs: 10 }));
  assert.ok(tookMs <= goneMs, `gone after ${Math.round(tookMs)} ms, allowed ${goneMs}`);
  const sizes = follower.history
    .slice(whole)
    .map(({ instances, nodes }) => instances.size + (context.nodeless ? 0 : 20 * nodes.size));
  const all = context.nodeless ? 20 : 40;
  assert.deepEqual([...new Set(sizes)], [all, 0], "instances and node entry must vanish in one batch");
}

async function restartEndsInTruth(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const server = serverOf(context);
  const wanted = records("web", 4);
  const nerve = announced(context, await context.open(OUTLASTING_MS), owner("node-a", "b1"), () => wanted);
  const watching = await context.open(OUTLASTING_MS);
  const follower = followed(context, watching, "web");
  const isAnnounced = () => follower.names().length === 4 && nodesAre(context, follower, "node-a");
  // Watchers may see the announcement before its caller has a session to lose.
  await until(() => isAnnounced() && nerve.session(), { what: "announced", timeoutMs });
  const before = follower.resets();
  const complete = follower.history.length - 1;
  await server.kill();
  await until(() => !watching.status().connected && nerve.session()?.lost.aborted, { what: "noticed", timeoutMs });
  wanted.push(record("web", "new", 9_000));
  await server.start();
  await until(() => follower.resets() > before && follower.names().includes("new"), {
    what: "the truth",
    timeoutMs: timeoutMs + 5_000,
  });
  assert.deepEqual(follower.names(), idsOf(wanted));
  const fewest = Math.min(...follower.history.slice(complete).map(({ instances }) => instances.size));
  assert.equal(fewest, 4, "an outage removes nothing");
  // Watchers may see the announcement before its caller does.
  await until(
    () =>
      nerve
        .session()
        ?.put(record("web", "later", 9_001))
        .then(() => true),
    { what: "writes", timeoutMs },
  );
  await until(() => follower.names().includes("later"), { what: "watched again", timeoutMs });
  assert.ok(watching.status().connected);
}

async function outageChangesArrive(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const server = serverOf(context);
  const [gone, kept, moved] = ["web/gone", "web/kept", "web/moved"] as const;
  for (const path of [gone, kept, moved]) await bench.foreign(path, encodeInstance({ host: "127.0.0.1", port: 80 }));
  const watching = await context.open();
  const follower = followed(context, watching, "web");
  await until(() => follower.names().length === 3, { what: "there", timeoutMs });
  const before = follower.resets();
  await server.kill();
  await until(() => !watching.status().connected, { what: "noticed", timeoutMs });
  const change = async (): Promise<void> => {
    await bench.foreign(gone, undefined);
    await bench.foreign(moved, encodeInstance({ host: "127.0.0.1", port: 81 }));
    await bench.foreign("web/new", encodeInstance({ host: "127.0.0.1", port: 82 }));
  };
  if (server.changesWhileAway === true) await change();
  await server.start();
  if (server.changesWhileAway !== true) await change();
  await until(() => follower.names().join() === "kept,moved,new" && follower.resets() > before, {
    what: "the truth",
    timeoutMs: timeoutMs + 5_000,
  });
  assert.equal(follower.state().instances.get("moved")?.port, 81);
}

async function frozenIsNoticed(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const server = serverOf(context);
  const noticedMs = Math.max(timeoutMs, 6_000);
  const wanted = records("web", 4);
  const nerve = announced(context, await context.open(), owner("node-a", "b1"), () => wanted);
  const watching = await context.open();
  const follower = followed(context, watching, "web");
  const isAnnounced = () => follower.names().length === 4 && nodesAre(context, follower, "node-a");
  // Watchers may see the announcement before its caller has a session to lose.
  await until(() => isAnnounced() && nerve.session(), { what: "announced", timeoutMs });
  const before = follower.resets();
  await (server.freeze ?? assert.fail("cannot freeze"))();
  try {
    await until(() => !watching.status().connected, { what: "the watcher notices", timeoutMs: noticedMs });
    await until(() => nerve.session()?.lost.aborted, { what: "the owner notices", timeoutMs: noticedMs });
    const put = nerve.session()?.put(record("web", "x", 1)) ?? assert.fail();
    await assert.rejects(put);
    assert.equal(follower.names().length, 4, "a frozen registry removes nothing");
  } finally {
    await server.thaw?.();
  }
  const back = () =>
    follower.resets() > before && follower.names().length === 4 && nodesAre(context, follower, "node-a");
  await until(back, { what: "the truth", timeoutMs: timeoutMs + 5_000 });
  await until(() => nerve.session()?.lost.aborted === false, { what: "announced again", timeoutMs });
  await until(
    () =>
      nerve
        .session()
        ?.put(record("web", "later", 9_001))
        .then(() => true),
    { what: "writes", timeoutMs },
  );
  await until(() => follower.names().includes("later"), { what: "watched again", timeoutMs });
}

async function closesDespiteFreeze(context: CaseContext): Promise<void> {
  const server = serverOf(context);
  const registry = await context.open();
  const session = await registry.announce(owner("node-a", "b1"), records("web", 2), NEVER);
  const others = await context.open();
  const sessions = await Promise.all(
    (["keep", "withdraw"] as const).map(async (mode) => ({
      mode,
      other: await others.announce(owner(`node-${mode}`, "b1"), records(mode, 2), NEVER),
    })),
  );
  const follower = followed(context, registry, "web");
  await until(() => follower.names().length === 2, { what: "announced" });
  await (server.freeze ?? assert.fail("cannot freeze"))();
  try {
    const pending = session.put(record("web", "stuck", 1)).then(
      () => "wrote",
      () => "refused",
    );
    const inTime = async (what: string, close: () => Promise<void>): Promise<void> => {
      const tookMs = await timed(close);
      assert.ok(tookMs < 2_000, `${what} took ${Math.round(tookMs)} ms`);
    };
    await Promise.all([
      inTime("close", () => registry.close()),
      ...sessions.map(({ mode, other }) => inTime(mode, () => other.close(mode))),
    ]);
    assert.equal(await pending, "refused");
    await inTime("a withdrawal after all", () => session.close("withdraw"));
  } finally {
    await server.thaw?.();
  }
}

async function worksBeforeItsServer(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const server = serverOf(context);
  await server.kill();
  let started = false;
  try {
    const registry = await context.open();
    const follower = followed(context, registry, "web");
    const nerve = announced(context, registry, owner("node-a", "b1"), () => records("web", 2));
    const inVain = registry.announce(owner("node-z", "b1"), [], NEVER);
    await assert.rejects(inVain);
    assert.equal(follower.batches.length, 0);
    assert.ok(!registry.status().connected && registry.status().lastError !== undefined);
    await server.start();
    started = true;
    await until(() => nerve.session() && follower.names().length === 2, {
      what: "works once the server is there",
      timeoutMs: timeoutMs + 5_000,
    });
  } finally {
    if (!started) await server.start();
  }
}

async function outlivesItsServer(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const server = serverOf(context);
  const follower = followed(context, await context.open(), "web");
  const process = await (bench.survivor ?? assert.fail("no process"))("node-s");
  context.defer(() => process.stop(0));
  const port = (): number => follower.state().instances.get("survivor")?.port ?? 0;
  const writes = async (what: string): Promise<void> => {
    const before = port();
    await until(() => port() > before + 1, { what: `it writes ${what}`, timeoutMs: timeoutMs + 5_000 });
    assert.ok(process.running(), process.output());
  };
  await writes("at first");
  await server.kill();
  await until(() => !process.running() || process.output().includes("down"), { what: "it notices", timeoutMs });
  await server.start();
  await writes("after a restart");
  await server.freeze?.();
  try {
    const beganMs = performance.now();
    const tookMs = await timed(() => process.stop(10_000));
    const pausedMs = performance.now() - beganMs - tookMs;
    assert.ok(tookMs < 4_500, "ends in time while its server is frozen");
    const [, closedMs] = /closed within (\d+) ms/.exec(process.output()) ?? assert.fail(process.output());
    assert.ok(Number(closedMs) - pausedMs < 2_000, process.output());
  } finally {
    await server.thaw?.();
  }
  assert.equal(await process.exited, 0, process.output());
}

function serverOf({ bench }: CaseContext): ServerControl {
  return bench.server ?? assert.fail("no server to disturb");
}

export const disruptionCases: readonly RegistryCase[] = [
  { name: KEPT_FOR_A_TTL, run: keptForAWholeTtl },
  { name: OWNER_KILLED, run: killedOwnerGoesAtOnce },
  { name: SERVER_RESTART, run: restartEndsInTruth },
  { name: MISSED, run: outageChangesArrive },
  { name: FROZEN, run: frozenIsNoticed },
  { name: CLOSE_FROZEN, run: closesDespiteFreeze },
  { name: BEFORE_SERVER, run: worksBeforeItsServer },
  { name: OUTLIVES, run: outlivesItsServer },
];

/** The cases that kill or freeze the server, which nobody else can use meanwhile. */
export const DISTURBING: ReadonlySet<string> = new Set([
  ...[SERVER_RESTART, MISSED, FROZEN, CLOSE_FROZEN, BEFORE_SERVER, OUTLIVES],
  ...[WRITES_FAIL_IN_TIME, SERVICES_COME_BACK, SAYS_WHEN_AWAY],
]);

/** The cases that need a process, or a server that can go away. */
export const NEEDS = {
  ownerProcess: [OWNER_KILLED, KEPT_FOR_A_TTL, OUTLIVES],
  server: [SERVER_RESTART, MISSED, BEFORE_SERVER],
  freeze: [FROZEN, CLOSE_FROZEN],
} as const;

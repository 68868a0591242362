import { strict as assert } from "node:assert";
import { encodeInstance } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import {
  announced,
  type CaseContext,
  followed,
  NEVER,
  owner,
  type RegistryCase,
  record,
  records,
  scene,
  soon,
} from "./registry-case.ts";
import { FULL, nodesBesideAGhost, seen } from "./registry-cases-documents.ts";

// Nerve's layout: no node entries, no more of a document than nerve's keys, a fixed name for each instance, and the session
// that a node hangs on. Nobody is fenced, nothing is adopted, and whoever announces a name last has it.

async function keepsNervesKeys(context: CaseContext): Promise<void> {
  const { host, port, weight, haproxyServerOptions, labels } = FULL;
  assert.ok(haproxyServerOptions !== undefined && labels !== undefined);
  assert.deepEqual(await seen(context, FULL), { host, port, weight, haproxyServerOptions, labels, id: "one" });
}

async function saysNothingOfItsHolder(context: CaseContext): Promise<void> {
  const found = await seen(context, { ...FULL, node: "node-z", boot: "b9" });
  assert.ok(found.node === undefined && found.boot === undefined);
}

async function nodeEntriesAreNothing(context: CaseContext): Promise<void> {
  assert.deepEqual(await nodesBesideAGhost(context), []);
}

async function announcesNothing(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, []);
  assert.equal(session.entries().size, 0);
  await soon(context, "a first batch", () => follower.batches.length > 0);
  assert.equal(follower.names().length, 0);
  assert.deepEqual([...(await context.bench.read()).keys()], []);
}

async function withdrawsWhatItTook({ open, bench }: CaseContext): Promise<void> {
  const first = await open();
  await first.announce(owner("node-a", "b1"), [...records("web", 3), record("db", "db-1", 5)], NEVER);
  await first.close();
  const others = await (await open()).announce(owner("node-b", "b1"), [record("web", "theirs", 9)], NEVER);
  const second = await (await open()).announce(owner("node-a", "b2"), [record("web", "web-0", 1)], NEVER);
  assert.deepEqual([...second.entries().keys()], ["web/web-0"]);
  await second.close("withdraw");
  const now = await bench.read();
  assert.ok(!now.has("web/web-0") && now.has("web/theirs"), [...now.keys()].join());
  await others.put(record("web", "theirs", 10));
}

async function takeOverLeavesNoGap(context: CaseContext): Promise<void> {
  const { goneMs } = context;
  const [all, kept] = [records("web", 5), records("web", 2)];
  const { registry, follower } = await scene(context, all);
  await registry.close();
  const whole = follower.history.length - 1;
  const session = await (await context.open()).announce(owner("node-a", "b2"), kept, NEVER);
  // What hangs on the first session goes with it, all at once; nothing of the second does.
  await until(() => follower.names().length < 5, { what: "the first one's end", timeoutMs: goneMs + 5_000 });
  const ids = new Set(follower.history.slice(whole).map(({ instances }) => [...instances.keys()].sort().join()));
  assert.deepEqual([...ids], ["web-0,web-1,web-2,web-3,web-4", "web-0,web-1"]);
  assert.deepEqual([...(await context.bench.read()).keys()].sort(), ["web/web-0", "web/web-1"]);
  await session.drop("web", "web-1");
  await soon(context, "dropped", () => follower.names().join() === "web-0");
}

async function takesWhatItAnnounces({ open, bench }: CaseContext): Promise<void> {
  const first = await open();
  await first.announce(owner("node-a", "b1"), records("web", 4), NEVER);
  await first.close();
  const others = await (await open()).announce(owner("node-b", "x"), [record("web", "theirs", 2)], NEVER);
  const before = await bench.read();
  await (await open()).announce(owner("node-a", "b2"), [record("web", "web-0", 7)], NEVER);
  const now = await bench.read();
  assert.equal(JSON.parse(now.get("web/web-0") ?? "{}").port, 7);
  for (const path of ["web/web-1", "web/web-2", "web/web-3", "web/theirs"])
    assert.equal(now.get(path), before.get(path) ?? assert.fail(path));
  assert.ok(!others.lost.aborted);
}

async function lastOneHasTheName(context: CaseContext): Promise<void> {
  const { open, bench } = context;
  const first = await (await open()).announce(owner("node-a", "b1"), [record("web", "mine", 8001)], NEVER);
  let told = 0;
  first.onForeignChange(() => told++);
  const second = await (await open()).announce(owner("node-a", "b2"), [record("web", "mine", 8002)], NEVER);
  await soon(context, "the first is told", () => told > 0 && !first.entries().has("web/mine"));
  await first.put(record("web", "more", 8003));
  assert.ok(!first.lost.aborted, "nobody is fenced");
  await first.drop("web", "mine");
  await first.close("withdraw");
  const now = await bench.read();
  assert.deepEqual([...now.keys()], ["web/mine"], "what the second holds is left alone, whoever made it first");
  assert.equal(JSON.parse(now.get("web/mine") ?? "{}").port, 8002);
  await second.put(record("web", "mine", 8005));
  assert.ok(!second.lost.aborted);
}

async function theOtherGoesOn(context: CaseContext): Promise<void> {
  const { open, bench } = context;
  const first = announced(context, await open(), owner("node-a", "b1"), () => records("web", 1));
  await soon(context, "announced", () => first.session());
  const second = await (await open()).announce(owner("node-a", "b2"), records("web", 1), NEVER);
  await second.close("withdraw");
  await soon(context, "announced by the one that is left", async () => (await bench.read()).has("web/web-0"));
  assert.equal(first.ended(), undefined);
  assert.equal(first.sessions.length, 1);
}

async function isToldOfWhatHasItsName(context: CaseContext): Promise<void> {
  const { session } = await scene(context, records("web", 1));
  let told = 0;
  session.onForeignChange(() => told++);
  await context.bench.foreign("web/web-0", encodeInstance({ host: "127.0.0.9", port: 9 }));
  await soon(context, "told", () => told > 0 && !session.entries().has("web/web-0"));
  await session.drop("web", "web-0");
  assert.ok(!(await context.bench.read()).has("web/web-0"));
}

async function missesWhatWasDeleted(context: CaseContext): Promise<void> {
  const { open, bench } = context;
  announced(context, await open(), owner("node-a", "b1"), () => records("web", 2));
  const follower = followed(context, await open(), "web");
  await soon(context, "announced", () => follower.names().length === 2);
  const from = follower.history.length;
  await bench.foreign("web/web-0", undefined);
  await soon(context, "announced again", async () => (await bench.read()).has("web/web-0"));
  await soon(context, "seen again", () => follower.names().length === 2);
  assert.ok(follower.history.slice(from).every(({ instances }) => instances.has("web-1")));
}

/** What stands in for a case about node entries, and about what documents say of their holder, in nerve's layout. */
export const NODELESS_CASES: Readonly<Record<string, RegistryCase>> = {
  "a document keeps every key, Unicode and zeros": { name: "a document keeps nerve's keys", run: keepsNervesKeys },
  "a document names who holds it": { name: "a document says nothing of its holder", run: saysNothingOfItsHolder },
  "a malformed node entry hides only itself": {
    name: "what lies where node entries would is nothing",
    run: nodeEntriesAreNothing,
  },
  "announcing nothing writes the node entry alone": {
    name: "announcing nothing writes nothing",
    run: announcesNothing,
  },
  "a withdrawal takes along what was adopted, and nobody else's": {
    name: "a withdrawal takes along what was taken over, and nobody else's",
    run: withdrawsWhatItTook,
  },
  "a take-over adopts leftovers without a gap": {
    name: "what is announced again has no gap, and the rest ends with its session",
    run: takeOverLeavesNoGap,
  },
  "a take-over puts its boot on all it adopts, and on nothing else": {
    name: "a take-over writes what it announces, and nothing else",
    run: takesWhatItAnnounces,
  },
  "a second nerve takes over and fences the first": {
    name: "of two nerves the last one has the name, and the first leaves it alone",
    run: lastOneHasTheName,
  },
  "a running nerve notices that it is fenced": {
    name: "of two nerves one goes on when the other withdraws",
    run: theOtherGoesOn,
  },
  "an owner is told of entries in its name": {
    name: "an owner is told of what others write under its name",
    run: isToldOfWhatHasItsName,
  },
  "an owner whose node entry was deleted announces again": {
    name: "an owner announces again what was deleted",
    run: missesWhatWasDeleted,
  },
};

import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { encodeInstance, type Instance } from "@smartstack/core";
import {
  announced,
  type CaseContext,
  caughtUp,
  hasCode,
  NEVER,
  nodesAre,
  owner,
  type RegistryCase,
  record,
  records,
  scene,
  soon,
} from "./registry-case.ts";

const portAt = (all: ReadonlyMap<string, string>, path: string): unknown => JSON.parse(all.get(path) ?? "{}").port;

async function readsItsOwnWrites(context: CaseContext): Promise<void> {
  const session = await (await context.open()).announce(owner("node-a", "b1"), records("web", 2), NEVER);
  const ports = (): string =>
    [...session.entries()]
      .map(([key, { port }]) => `${key}:${port}`)
      .sort()
      .join();
  assert.equal(ports(), "web/web-0:10000,web/web-1:10001");
  await session.put(record("web", "web-0", 7));
  assert.equal(ports(), "web/web-0:7,web/web-1:10001");
  await session.drop("web", "web-1");
  assert.equal(ports(), "web/web-0:7");
  await session.put(record("db", "one", 5));
  assert.equal(ports(), "db/one:5,web/web-0:7");
}

async function resolvesWhenItIsWritten(context: CaseContext): Promise<void> {
  const { bench } = context;
  const session = await (await context.open()).announce(owner("node-a", "b1"), records("web", 3), NEVER);
  const announcedAll = await bench.read();
  assert.ok([0, 1, 2].every((index) => announcedAll.has(`web/web-${index}`)));
  assert.ok(context.nodeless || announcedAll.has(".nodes/node-a"));
  await session.put(record("web", "web-0", 7));
  assert.equal(portAt(await bench.read(), "web/web-0"), 7);
  await session.drop("web", "web-0");
  assert.ok(!(await bench.read()).has("web/web-0"));
}

async function announcesNothingButItself(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, []);
  assert.equal(session.entries().size, 0);
  assert.equal(follower.names().length, 0);
  assert.deepEqual(
    [...(await context.bench.read()).keys()].filter((path) => !path.startsWith(".owners")),
    [".nodes/node-a"],
  );
}

async function withdrawsWhatItAdopted(context: CaseContext): Promise<void> {
  const first = await context.open();
  await first.announce(owner("node-a", "b1"), [...records("web", 3), record("db", "db-1", 5)], NEVER);
  await first.close();
  const others = await (await context.open()).announce(owner("node-b", "b1"), [record("web", "theirs", 9)], NEVER);
  const second = await (await context.open()).announce(owner("node-a", "b2"), [record("web", "web-0", 1)], NEVER);
  await second.close("withdraw");
  // A node entry that was not gone by the time that closing may take ends with its ttl.
  const isOwn = (path: string): boolean => path.startsWith(".owners") || path === ".nodes/node-a";
  const paths = [...(await context.bench.read()).keys()].filter((path) => !isOwn(path)).sort();
  assert.deepEqual(paths, [".nodes/node-b", "web/theirs"]);
  await others.put(record("web", "theirs", 10));
}

async function closesOnceAndForAll(context: CaseContext): Promise<void> {
  const { session, registry } = await scene(context, records("web", 2));
  const own = await caughtUp(context, registry, records("web", 2));
  await Promise.all([session.close("withdraw"), session.close("withdraw"), session.close("keep")]);
  await session.close("keep");
  await assert.rejects(session.put(record("web", "late", 1)), hasCode("CLOSED"));
  await assert.rejects(session.drop("web", "late"), hasCode("CLOSED"));
  assert.ok(!session.lost.aborted);
  await soon(context, "its own watch shows the end", () => own.names().length === 0);
  const again = await registry.announce(owner("node-a", "b1"), records("web", 1), NEVER);
  assert.ok((await context.bench.read()).has("web/web-0"), "the same boot may come back after a withdrawal");
  await again.put(record("web", "later", 1));
}

async function dropLeavesOthersAlone(context: CaseContext): Promise<void> {
  const { session } = await scene(context, [record("web", "mine", 1)]);
  const other = await (await context.open()).announce(owner("node-b", "b1"), [record("web", "theirs", 2)], NEVER);
  await session.drop("web", "theirs");
  // At once after it was written: what a watch has not shown yet is left alone as well.
  for (let index = 0; index < 10; index++) {
    await other.put(record("web", `theirs-${index}`, 3));
    await session.drop("web", `theirs-${index}`);
  }
  const left = [...(await context.bench.read()).keys()].filter((path) => path.startsWith("web/theirs"));
  assert.equal(left.length, 11, left.join());
  assert.equal(other.entries().size, 11);
}

async function takesWhatTheDeadLeft(context: CaseContext): Promise<void> {
  const ghost = encodeInstance({ host: "127.0.0.9", port: 9, node: "ghost", boot: "g" });
  await context.bench.foreign("web/left", ghost);
  const { session, follower } = await scene(context, [record("web", "left", 1)]);
  const isOurs = (): boolean => {
    const { port, node } = follower.state().instances.get("left") ?? {};
    return port === 1 && (context.nodeless || node === "node-a");
  };
  await soon(context, "taken", isOurs);
  assert.ok(session.entries().has("web/left"));
}

async function isNotToldOfOthers(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, records("web", 2));
  let told = 0;
  session.onForeignChange(() => told++);
  const other = await (await context.open()).announce(owner("node-b", "b1"), [record("web", "theirs", 2)], NEVER);
  await other.put(record("web", "theirs", 3));
  await context.bench.foreign("web/nobodys", encodeInstance({ host: "127.0.0.9", port: 9 }));
  for (let port = 1; port <= 10; port++) await session.put(record("web", "web-0", port));
  await other.close("withdraw");
  const quiet = () => follower.names().join() === "nobodys,web-0,web-1" && nodesAre(context, follower, "node-a");
  await soon(context, "all seen", quiet);
  await pause(50);
  assert.equal(told, 0);
}

async function isToldOfEntriesInItsName(context: CaseContext): Promise<void> {
  const { session } = await scene(context, records("web", 1));
  let told = 0;
  session.onForeignChange(() => told++);
  const forged: Instance = { host: "127.0.0.9", port: 9, node: "node-a", boot: "b1" };
  await context.bench.foreign("web/forged", encodeInstance(forged));
  await soon(context, "told", () => told > 0 && session.entries().has("web/forged"));
  await session.drop("web", "forged");
  assert.ok(!(await context.bench.read()).has("web/forged"));
}

async function missesItsNodeEntry(context: CaseContext): Promise<void> {
  const nerve = announced(context, await context.open(), owner("node-a", "b1"), () => records("web", 2));
  const watching = await scene(context, [], owner("node-b", "b1"));
  const whole = () => watching.follower.names().length === 2 && watching.follower.state().nodes.has("node-a");
  await soon(context, "announced", whole);
  const sessions = nerve.sessions.length;
  await context.bench.foreign(".nodes/node-a", undefined);
  await soon(context, "announced again", () => nerve.sessions.length > sessions && whole());
}

async function obeysAnAbortedSignal(context: CaseContext): Promise<void> {
  const { bench } = context;
  const registry = await context.open();
  await assert.rejects(registry.announce(owner("node-a", "b1"), records("web", 2), AbortSignal.abort()));
  await scene(context, [], owner("node-b", "b1"));
  assert.ok(![...(await bench.read()).keys()].some((path) => path.includes("web") || path.includes("node-a")));
}

async function aTakeOverRenamesAll(context: CaseContext): Promise<void> {
  const first = await context.open();
  await first.announce(owner("node-a", "b1"), [...records("web", 4), record("db", "d", 1)], NEVER);
  await first.close();
  const others = await (await context.open()).announce(owner("node-b", "x"), [record("web", "theirs", 2)], NEVER);
  await (await context.open()).announce(owner("node-a", "b2"), [record("web", "web-0", 7)], NEVER);
  const all = await context.bench.read();
  const boots = [...all]
    .filter(([path]) => /^(web|db)\//.test(path))
    .map(([path, text]) => [path, JSON.parse(text).boot]);
  assert.equal(boots.length, 6);
  for (const [path, boot] of boots) assert.equal(boot, path === "web/theirs" ? "x" : "b2", path);
  assert.equal(portAt(all, "web/web-0"), 7);
  assert.equal(portAt(all, "web/web-3"), 10_003);
  assert.ok(!others.lost.aborted);
}

async function aWorseSessionKeepsTheRest(context: CaseContext): Promise<void> {
  const { session, registry, follower } = await scene(context, records("web", 3));
  await caughtUp(context, registry, records("web", 3));
  const from = follower.history.length;
  await session.close("keep");
  const again = await registry.announce(owner("node-a", "b1"), [record("web", "web-1", 7)], NEVER);
  await soon(context, "the change", () => follower.state().instances.get("web-1")?.port === 7);
  assert.equal(again.entries().size, 3, "the caller drops what no longer runs");
  assert.ok(follower.history.slice(from).every(({ instances }) => instances.size === 3));
}

export const sessionCases: readonly RegistryCase[] = [
  { name: "a session reads its own writes", run: readsItsOwnWrites },
  { name: "what resolved is written", run: resolvesWhenItIsWritten },
  { name: "announcing nothing writes the node entry alone", run: announcesNothingButItself },
  { name: "a withdrawal takes along what was adopted, and nobody else's", run: withdrawsWhatItAdopted },
  { name: "a session closes once, and its boot may come back", run: closesOnceAndForAll },
  { name: "a drop leaves what another living node holds", run: dropLeavesOthersAlone },
  { name: "what a dead node left may be taken", run: takesWhatTheDeadLeft },
  { name: "an owner is not told of its own or other nodes' changes", run: isNotToldOfOthers },
  { name: "an owner is told of entries in its name", run: isToldOfEntriesInItsName },
  { name: "an owner whose node entry was deleted announces again", run: missesItsNodeEntry },
  { name: "an announcement that begins aborted writes nothing", run: obeysAnAbortedSignal },
  { name: "a take-over puts its boot on all it adopts, and on nothing else", run: aTakeOverRenamesAll },
  { name: "announcing less keeps the rest until it is dropped", run: aWorseSessionKeepsTheRest },
];

import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { applyBatch, NO_ENTRIES } from "@smartstack/core";
import {
  batchesUntilMarker,
  type CaseContext,
  followed,
  NEVER,
  nodesAre,
  owner,
  type RegistryCase,
  record,
  records,
  scene,
  soon,
} from "./registry-case.ts";
import { followServices } from "./registry-follower.ts";

async function nodesReachEveryService(context: CaseContext): Promise<void> {
  const follower = followed(context, await context.open(), "elsewhere");
  await soon(context, "a first batch", () => follower.batches.length > 0);
  const { session } = await scene(context, records("web", 1));
  await soon(context, "the node entry", () => follower.state().nodes.has("node-a"));
  await session.close("withdraw");
  await soon(context, "no node entry", () => follower.state().nodes.size === 0);
  assert.ok(follower.history.every(({ instances }) => instances.size === 0));
}

async function stoppedWatcherGetsNothing(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, records("web", 1));
  const registry = await context.open();
  const [leaving, staying] = [followed(context, registry, "web"), followed(context, registry, "web")];
  await soon(context, "both read", () => leaving.names().length === 1 && staying.names().length === 1);
  await leaving.stop();
  const batches = leaving.batches.length;
  await session.put(record("web", "later", 2));
  await soon(context, "the others saw it", () => [staying, follower].every((one) => one.names().includes("later")));
  assert.equal(leaving.batches.length, batches);
  assert.equal(staying.resets(), 1, "the others go on undisturbed");
}

async function abortEndsAWatch(context: CaseContext): Promise<void> {
  await scene(context, records("web", 1));
  const registry = await context.open();
  const stop = new AbortController();
  let batches = 0;
  const run = (async () => {
    for await (const _ of registry.watch("web", stop.signal)) batches++;
    return "ended";
  })();
  await soon(context, "the first batch", () => batches > 0);
  stop.abort();
  assert.equal(await Promise.race([run, pause(1_000, "still there", { ref: false })]), "ended");
}

async function abortedWatchYieldsNothing(context: CaseContext): Promise<void> {
  const { registry } = await scene(context, records("web", 1));
  const stopped = AbortSignal.abort();
  const seen: unknown[] = [];
  const run = (async () => {
    for await (const batch of registry.watch("web", stopped)) seen.push(batch);
    for await (const names of registry.services(stopped)) seen.push(names);
    return "ended";
  })();
  assert.equal(await Promise.race([run, pause(1_000, "still there", { ref: false })]), "ended");
  assert.deepEqual(seen, []);
}

async function breakingOutLetsGo(context: CaseContext): Promise<void> {
  const { session } = await scene(context, records("web", 1));
  const registry = await context.open();
  const staying = followed(context, registry, "web");
  const leave = (async () => {
    for await (const batch of registry.watch("web", NEVER)) return batch[0]?.type;
    return undefined;
  })();
  assert.equal(await Promise.race([leave, pause(1_000, "still there", { ref: false })]), "reset");
  await session.put(record("web", "later", 2));
  await soon(context, "the others go on", () => staying.names().includes("later"));
  assert.equal(staying.resets(), 1);
}

async function emptyHandedDropsReachNobody(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, records("web", 1));
  const from = follower.batches.length;
  for (const id of ["a", "b", "c"]) await session.drop("web", id);
  await session.drop("db", "none");
  assert.deepEqual(await batchesUntilMarker(context, { session, follower }, from), []);
  assert.ok(follower.batches.every((batch) => batch.length > 0));
}

async function oneChangeIsOneUpdate(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, records("web", 5));
  const from = follower.batches.length;
  await session.put({ service: "web", id: "web-3", instance: { host: "127.0.0.1", port: 7, state: "draining" } });
  await soon(context, "the change", () => follower.state().instances.get("web-3")?.port === 7);
  await session.drop("web", "web-4");
  await soon(context, "the drop", () => !follower.names().includes("web-4"));
  const batches = await batchesUntilMarker(context, { session, follower }, from);
  assert.deepEqual(
    batches.flat().map((update) => update.type),
    ["put", "drop"],
  );
  assert.equal(follower.resets(), 1);
}

async function otherServicesChangesStayAway(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, records("web", 1));
  const from = follower.batches.length;
  await session.put(record("db", "db-1", 5_432));
  await session.drop("db", "db-1");
  assert.deepEqual(await batchesUntilMarker(context, { session, follower }, from), []);
}

async function slowWatchersMissNothing(context: CaseContext): Promise<void> {
  const { session } = await scene(context, []);
  const registry = await context.open();
  const stop = new AbortController();
  context.defer(() => stop.abort());
  let state = NO_ENTRIES;
  let written = false;
  const run = (async () => {
    for await (const batch of registry.watch("web", stop.signal)) {
      state = applyBatch(state, batch);
      while (!written && !stop.signal.aborted) await pause(5);
    }
  })();
  run.catch(() => undefined);
  await soon(context, "watched", () => registry.status().connected);
  for (let port = 1; port <= 60; port++) await session.put(record("web", `busy-${port}`, port));
  written = true;
  await soon(context, "all that came while its reader was busy", () => state.instances.size === 60);
}

async function manyAtOnceAllArrive(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, []);
  const all = records("web", 100);
  await Promise.all(all.map((one) => session.put(one)));
  await soon(context, "all", () => follower.names().length === 100);
  await Promise.all(all.slice(0, 90).map(({ id }) => session.drop("web", id)));
  await soon(context, "ten", () => follower.names().length === 10);
  assert.equal(session.entries().size, 10);
}

async function quickReturnsEndWell(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, []);
  let told = 0;
  session.onForeignChange(() => told++);
  for (let round = 0; round < 20; round++) {
    const ids = Array.from({ length: 5 }, (_, index) => `flip-${index}`);
    await Promise.all(ids.map((id) => session.put(record("web", id, 1_000 + round))));
    await Promise.all(ids.map((id) => session.drop("web", id)));
    assert.equal(session.entries().size, 0, "an echo of what was dropped since is no news");
  }
  await session.put(record("web", "last", 1));
  await soon(context, "the last one", () => follower.names().join() === "last");
  assert.deepEqual([...session.entries().keys()], ["web/last"]);
  assert.equal(told, 0, "its own changes are not foreign");
}

async function servicesAreSortedAndQuiet(context: CaseContext): Promise<void> {
  const list = followServices(await context.open());
  context.defer(() => list.stop());
  await soon(context, "the first list", () => list.lists.length > 0);
  const { session } = await scene(context, [record("zoo", "z", 1), record("web", "w", 2), record("api", "a", 3)]);
  await soon(context, "three", () => list.lists.at(-1)?.join() === "api,web,zoo");
  const before = list.lists.length;
  for (let port = 10; port < 20; port++) await session.put(record("web", "w", port));
  await session.put(record("web", "w2", 1));
  await session.put(record("new", "n", 1));
  await soon(context, "four", () => list.lists.at(-1)?.join() === "api,new,web,zoo");
  assert.equal(list.lists.length, before + 1, "an unchanged list is not told again");
}

async function aServiceComesBack(context: CaseContext): Promise<void> {
  const list = followServices(await context.open());
  context.defer(() => list.stop());
  const { session } = await scene(context, records("web", 1));
  for (let round = 0; round < 2; round++) {
    await soon(context, "there", () => list.lists.at(-1)?.join() === "web");
    await session.drop("web", "web-0");
    await soon(context, "gone", () => list.lists.at(-1)?.length === 0);
    await session.put(record("web", "web-0", 80));
  }
}

async function twoNodesShareAService(context: CaseContext): Promise<void> {
  const { follower } = await scene(context, [record("web", "a", 1)]);
  const other = await (await context.open()).announce(owner("node-b", "b1"), [record("web", "b", 2)], NEVER);
  await soon(
    context,
    "both",
    () => follower.names().join() === "a,b" && nodesAre(context, follower, "node-a", "node-b"),
  );
  await other.close("withdraw");
  await soon(context, "one", () => follower.names().join() === "a" && nodesAre(context, follower, "node-a"));
}

export const followingCases: readonly RegistryCase[] = [
  { name: "node entries reach the watchers of every service", run: nodesReachEveryService },
  { name: "a stopped watcher gets nothing more, the others all", run: stoppedWatcherGetsNothing },
  { name: "an aborted watch ends at once", run: abortEndsAWatch },
  { name: "a watch that begins aborted yields nothing", run: abortedWatchYieldsNothing },
  { name: "breaking out of a watch lets go of it", run: breakingOutLetsGo },
  { name: "dropping what is not there reaches nobody", run: emptyHandedDropsReachNobody },
  { name: "one change is one update", run: oneChangeIsOneUpdate },
  { name: "a change of another service reaches nobody here", run: otherServicesChangesStayAway },
  { name: "a slow watcher misses nothing", run: slowWatchersMissNothing },
  { name: "a hundred changes at once all arrive", run: manyAtOnceAllArrive },
  { name: "what comes and goes quickly ends as it should", run: quickReturnsEndWell },
  { name: "the list of services is sorted, and told on change only", run: servicesAreSortedAndQuiet },
  { name: "a service goes with its last instance and comes back", run: aServiceComesBack },
  { name: "two nodes share a service", run: twoNodesShareAService },
];

import { strict as assert } from "node:assert";
import { until } from "@smartstack/core/testing";
import { watchPauses } from "../support/pauses.ts";
import {
  assertAnnouncedWhole,
  type CaseContext,
  followed,
  idsOf,
  NEVER,
  nodesAre,
  owner,
  type RegistryCase,
  record,
  records,
} from "./registry-case.ts";
import { followServices } from "./registry-follower.ts";

/** Where readers have no revision to see a withdrawal by, its two halves are half a second apart. */
const HALVES_APART_MS = 500;

async function announcesUpdatesWithdraws(context: CaseContext): Promise<void> {
  const { bench, nodeless, waitMs: timeoutMs } = context;
  const writer = await context.open();
  const follower = followed(context, await context.open(), "web");
  const session = await writer.announce(owner("node-a", "b1"), [record("web", "web-1", 8001)], NEVER);
  await until(() => follower.names().includes("web-1") && nodesAre(context, follower, "node-a"), {
    what: "announced",
    timeoutMs,
  });
  assert.equal(JSON.parse((await bench.read()).get("web/web-1") ?? "{}").port, 8001);
  if (!nodeless) assert.equal(JSON.parse((await bench.read()).get(".nodes/node-a") ?? "{}").boot, "b1");

  await session.put(record("web", "web-2", 8002));
  await session.put(record("web", "web-1", 9001));
  const moved = () => follower.state().instances.get("web-1")?.port === 9001 && follower.names().length === 2;
  await until(moved, { what: "updated", timeoutMs });
  assert.deepEqual([...session.entries().keys()].sort(), ["web/web-1", "web/web-2"]);

  await session.drop("web", "web-1");
  await session.drop("web", "never-there");
  await until(() => follower.names().join() === "web-2", { what: "dropped", timeoutMs });
  assert.ok(nodesAre(context, follower, "node-a"), "the node entry stays when an instance is dropped on purpose");

  const pauses = watchPauses();
  await session.close("withdraw");
  await until(() => follower.names().length === 0 && nodesAre(context, follower), { what: "withdrawn", timeoutMs });
  const pauseMs = pauses.stop();
  assert.deepEqual(
    [...(await bench.read()).keys()].filter((path) => path.includes("web")),
    [],
  );
  if (nodeless) return;
  const inDoubt = follower.history.filter((state) => state.instances.size > 0 && state.nodes.size === 0);
  assert.equal(inDoubt.length, 0, "instances must go before the node entry");
  const last = follower.history.findLastIndex((state) => state.instances.size > 0);
  // A reader that did not run between the halves finds both gone.
  assert.ok(
    follower.history[last + 1]?.nodes.size === 1 || pauseMs > HALVES_APART_MS / 2,
    "a withdrawal must be seen as one: instances gone, node entry still there",
  );
}

async function appliesInOrder(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const writer = await context.open();
  const follower = followed(context, await context.open(), "web");
  const session = await writer.announce(owner("node-a", "b1"), [record("web", "web-1", 8000)], NEVER);
  await until(() => follower.names().length === 1, { what: "announced", timeoutMs });
  for (let port = 8001; port <= 8025; port++) await session.put(record("web", "web-1", port));
  await session.drop("web", "web-1");
  await session.put(record("web", "web-1", 9000));
  await until(() => follower.state().instances.get("web-1")?.port === 9000, { what: "the last update", timeoutMs });
  const ports = follower.history.flatMap((state) => state.instances.get("web-1")?.port ?? []);
  assert.deepEqual(
    ports,
    [...ports].sort((a, b) => a - b),
    "updates arrived out of order",
  );
  await session.put(record("web", "web-2", 9002));
  await until(() => follower.names().length === 2, { what: "one more", timeoutMs });
  assert.equal(follower.state().instances.get("web-1")?.port, 9000, "an older update came again");
}

async function putIsIdempotent(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const writer = await context.open();
  const session = await writer.announce(owner("node-a", "b1"), records("web", 2), NEVER);
  const follower = followed(context, await context.open(), "web");
  await until(() => follower.names().length === 2, { what: "announced", timeoutMs });
  const before = follower.batches.length;
  for (let round = 0; round < 5; round++) for (const one of records("web", 2)) await session.put(one);
  await session.put(record("web", "marker", 9999));
  await until(() => follower.names().includes("marker"), { what: "the marker", timeoutMs });
  assert.equal(follower.batches.length, before + 1, "repeating a put must not reach watchers");
}

async function watchesFromNothing(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const follower = followed(context, await context.open(), "web");
  await until(() => follower.batches.length > 0, { what: "a first batch, though there is nothing", timeoutMs });
  assert.deepEqual(follower.batches[0], [{ type: "reset", entries: [] }]);
  const node = owner("node-a", "b1");
  await (await context.open()).announce(node, records("web", 3), NEVER);
  await until(() => follower.names().length === 3 && nodesAre(context, follower, "node-a"), {
    what: "announced",
    timeoutMs,
  });
  assertAnnouncedWhole(follower, node, idsOf(records("web", 3)));
}

async function watchesFromExisting(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  await (await context.open()).announce(owner("node-a", "b1"), [...records("web", 3), ...records("db", 2)], NEVER);
  const follower = followed(context, await context.open(), "web");
  await until(() => follower.batches.length > 0, { what: "a first batch", timeoutMs });
  assert.deepEqual(follower.names(), idsOf(records("web", 3)));
  if (!context.nodeless) assert.equal(follower.state().nodes.get("node-a")?.boot, "b1");
}

async function listsServices(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const list = followServices(await context.open());
  context.defer(() => list.stop());
  const says = (names: string) =>
    until(() => list.lists.at(-1)?.join() === names, { what: `services: ${names}`, timeoutMs });
  await says("");
  const session = await (await context.open()).announce(owner("node-a", "b1"), records("web", 2), NEVER);
  await says("web");
  await session.put(record("db", "db-1", 5432));
  await says("db,web");
  await session.drop("web", "web-0");
  await session.drop("web", "web-1");
  await says("db");
}

async function twoWatchersAgree(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const registry = await context.open();
  const watchers = [
    followed(context, registry, "web"),
    followed(context, registry, "web"),
    followed(context, await context.open(), "web"),
  ];
  const session = await (await context.open()).announce(owner("node-a", "b1"), records("web", 4), NEVER);
  for (let index = 0; index < 30; index++) {
    await session.put(record("web", `more-${index}`, 9_000 + index));
    if (index % 3 === 0) await session.drop("web", `more-${index}`);
  }
  const truth = [...session.entries().keys()].map((key) => key.slice("web/".length)).sort();
  await until(() => watchers.every((one) => one.names().join() === truth.join()), {
    what: "all watchers at the truth",
    timeoutMs,
  });
  assert.equal(truth.length, 24);
}

async function thousandInstances(context: CaseContext): Promise<void> {
  const { waitMs } = context;
  const timeoutMs = Math.max(waitMs, 1_000);
  const all = records("web", 1_000);
  const early = followed(context, await context.open(), "web");
  await until(() => early.batches.length > 0, { what: "the first batch", timeoutMs });
  const node = owner("node-a", "b1");
  const session = await (await context.open()).announce(node, all, NEVER);
  const late = followed(context, await context.open(), "web");
  await until(() => early.names().length === 1_000 && nodesAre(context, early, "node-a"), {
    what: "early watcher",
    timeoutMs,
  });
  await until(() => late.names().length === 1_000, { what: "late watcher", timeoutMs });
  assert.equal(session.entries().size, 1_000);
  assertAnnouncedWhole(early, node, idsOf(all));
}

export const watchCases: readonly RegistryCase[] = [
  { name: "announces, updates, withdraws", run: announcesUpdatesWithdraws },
  { name: "applies updates in order, each once", run: appliesInOrder },
  { name: "a repeated put writes nothing", run: putIsIdempotent },
  { name: "watches from nothing", run: watchesFromNothing },
  { name: "watches from what exists", run: watchesFromExisting },
  { name: "lists services", run: listsServices },
  { name: "two watchers see the same", run: twoWatchersAgree },
  { name: "a thousand instances", run: thousandInstances },
];

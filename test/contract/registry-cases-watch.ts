import { strict as assert } from "node:assert";
import { encodeInstance } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import {
  announced,
  assertAnnouncedWhole,
  type CaseContext,
  followed,
  idsOf,
  keyOf,
  NEVER,
  owner,
  type RegistryCase,
  record,
  records,
} from "./registry-case.ts";
import { followServices } from "./registry-follower.ts";

async function announcesUpdatesWithdraws(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const writer = await context.open();
  const follower = followed(context, await context.open(), "web");
  const session = await writer.announce(owner("node-a", "b1"), [record("web", "web-1", 8001)], NEVER);
  await until(() => follower.names().includes("web-1") && follower.state().nodes.has("node-a"), {
    what: "announced",
    timeoutMs,
  });
  assert.equal(JSON.parse((await bench.read()).get("web/web-1") ?? "{}").port, 8001);
  assert.equal(JSON.parse((await bench.read()).get(".nodes/node-a") ?? "{}").boot, "b1");

  await session.put(record("web", "web-2", 8002));
  await session.put(record("web", "web-1", 9001));
  const moved = () => follower.state().instances.get("web-1")?.port === 9001 && follower.names().length === 2;
  await until(moved, { what: "updated", timeoutMs });
  assert.deepEqual([...session.entries().keys()].sort(), ["web/web-1", "web/web-2"]);

  await session.drop("web", "web-1");
  await session.drop("web", "never-there");
  await until(() => follower.names().join() === "web-2", { what: "dropped", timeoutMs });
  assert.equal(
    follower.state().nodes.get("node-a")?.boot,
    "b1",
    "the node entry stays when an instance is dropped on purpose",
  );

  await session.close("withdraw");
  await until(() => follower.state().nodes.size === 0, { what: "withdrawn", timeoutMs });
  assert.deepEqual(
    [...(await bench.read()).keys()].filter((path) => path.includes("web")),
    [],
  );
  const inDoubt = follower.history.filter((state) => state.instances.size > 0 && state.nodes.size === 0);
  assert.equal(inDoubt.length, 0, "instances must go before the node entry");
  const last = follower.history.findLastIndex((state) => state.instances.size > 0);
  assert.equal(
    follower.history[last + 1]?.nodes.size,
    1,
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
  await until(() => follower.names().length === 3 && follower.state().nodes.size === 1, {
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
  assert.equal(follower.state().nodes.get("node-a")?.boot, "b1");
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
  await until(() => early.names().length === 1_000 && early.state().nodes.size === 1, {
    what: "early watcher",
    timeoutMs,
  });
  await until(() => late.names().length === 1_000, { what: "late watcher", timeoutMs });
  assert.equal(session.entries().size, 1_000);
  assertAnnouncedWhole(early, node, idsOf(all));
}

async function survivesRecreatedPrefix(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const wanted = [...records("web", 3), record("db", "db-1", 5432)];
  const nerve = announced(context, await context.open(), owner("node-a", "b1"), () => wanted);
  const follower = followed(context, await context.open(), "web");
  const complete = () => follower.names().length === 3 && follower.state().nodes.size === 1;
  await until(complete, { what: "announced", timeoutMs });
  for (let round = 0; round < 2; round++) {
    const sessions = nerve.sessions.length;
    await bench.wipe();
    await until(() => nerve.sessions.length > sessions, { what: "announced again", timeoutMs });
    await until(async () => (await bench.read()).has("db/db-1") && complete(), { what: "all back", timeoutMs });
  }
  await nerve.session()?.put(record("web", "later", 9_000));
  await until(() => follower.names().includes("later"), { what: "still watched", timeoutMs });
}

async function hidesMalformed(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const rejected: string[] = [];
  context.defer(
    bench.events.subscribe((event) => {
      if (event.name === "registry.document_rejected") rejected.push(`${event.data.service}/${event.data.id}`);
    }),
  );
  const follower = followed(context, await context.open(), "web");
  const session = await (await context.open()).announce(owner("node-a", "b1"), records("web", 2), NEVER);
  await bench.foreign("web/torn", '{"host":"127.0.0.1","po');
  await bench.foreign("web/huge", `{"host":"127.0.0.1","port":1,"labels":{"x":"${"y".repeat(40_000)}"}}`);
  await bench.foreign("web/good", encodeInstance({ host: "127.0.0.9", port: 99 }));
  await until(() => follower.names().join() === "good,web-0,web-1", { what: "the good ones only", timeoutMs });
  await until(() => rejected.includes("web/torn") && rejected.includes("web/huge"), {
    what: "rejections counted",
    timeoutMs,
  });
  await bench.foreign("web/torn", encodeInstance({ host: "127.0.0.9", port: 100 }));
  await until(() => follower.names().includes("torn"), { what: "repaired", timeoutMs });
  assert.ok(session.entries().has("web/web-0") && session.entries().size === 2, "foreign documents are not ours");
}

async function tellsOfForeignChanges(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const wanted = records("web", 3);
  const session = await (await context.open()).announce(owner("node-a", "b1"), wanted, NEVER);
  const follower = followed(context, await context.open(), "web");
  await until(() => follower.names().length === 3, { what: "announced", timeoutMs });
  let told = 0;
  session.onForeignChange(() => told++);
  await session.put(record("web", "web-1", 9_001));
  await session.put(record("web", "web-3", 9_003));
  await session.drop("web", "web-3");
  await until(() => follower.state().instances.get("web-1")?.port === 9_001 && follower.names().length === 3, {
    what: "own writes",
    timeoutMs,
  });

  await bench.foreign("web/web-0", undefined);
  await until(() => told > 0 && !session.entries().has("web/web-0"), { what: "told of the delete", timeoutMs });
  assert.equal(told, 1, "own writes are not foreign");
  await session.put(wanted[0] ?? assert.fail());
  await until(async () => (await bench.read()).has("web/web-0"), { what: "repaired", timeoutMs });

  const before = told;
  await bench.foreign("web/web-2", encodeInstance({ host: "127.0.0.66", port: 6 }));
  await until(() => told > before && session.entries().get("web/web-2")?.host !== "127.0.0.1", {
    what: "told of the overwrite",
    timeoutMs,
  });
  await session.put(wanted[2] ?? assert.fail());
  await until(() => follower.state().instances.get("web-2")?.host === "127.0.0.1", {
    what: "repaired for watchers",
    timeoutMs,
  });
  assert.deepEqual([...session.entries().keys()].sort(), wanted.map(keyOf).sort());
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
  { name: "survives the prefix being deleted and made again", run: survivesRecreatedPrefix },
  { name: "a malformed document hides one instance", run: hidesMalformed },
  { name: "tells its owner of foreign changes", run: tellsOfForeignChanges },
];

import { strict as assert } from "node:assert";
import { lossOf } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import {
  announced,
  assertAnnouncedWhole,
  type CaseContext,
  caughtUp,
  followed,
  hasCode,
  idsOf,
  NEVER,
  nodesAre,
  owner,
  type RegistryCase,
  record,
  records,
} from "./registry-case.ts";

async function secondNerveFencesFirst(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const others = await (await context.open()).announce(owner("node-b", "other"), records("web", 1), NEVER);
  const firstRegistry = await context.open();
  const first = await firstRegistry.announce(owner("node-a", "b1"), [record("web", "mine", 8001)], NEVER);
  const second = await (await context.open()).announce(owner("node-a", "b2"), [record("web", "mine", 8002)], NEVER);

  await assert.rejects(first.put(record("web", "mine", 8003)), hasCode("REGISTRY_FENCED"));
  await assert.rejects(first.drop("web", "mine"), hasCode("REGISTRY_FENCED"));
  await until(() => first.lost.aborted, { what: "the first is told", timeoutMs });
  assert.equal(lossOf(first).code, "REGISTRY_FENCED");
  assert.equal(lossOf(first).retry, "never");
  await assert.rejects(
    firstRegistry.announce(owner("node-a", "b1"), [record("web", "mine", 8004)], NEVER),
    hasCode("REGISTRY_FENCED"),
  );
  await first.close("withdraw");

  const now = await bench.read();
  assert.equal(JSON.parse(now.get("web/mine") ?? "{}").port, 8002);
  assert.equal(JSON.parse(now.get(".nodes/node-a") ?? "{}").boot, "b2");
  assert.equal(JSON.parse(now.get("web/web-0") ?? "{}").boot, "other", "another node's entry was touched");
  await second.put(record("web", "mine", 8005));
  await others.put(record("web", "web-0", 8006));
  assert.ok(!second.lost.aborted && !others.lost.aborted);
}

async function runningNerveNoticesFencing(context: CaseContext): Promise<void> {
  const first = announced(context, await context.open(), owner("node-a", "b1"), () => records("web", 1));
  await until(() => first.session(), { what: "announced", timeoutMs: context.waitMs });
  await (await context.open()).announce(owner("node-a", "b2"), records("web", 1), NEVER);
  await until(() => first.ended(), { what: "the first gives up by itself", timeoutMs: context.waitMs });
  assert.ok(hasCode("REGISTRY_FENCED")(first.ended()), String(first.ended()));
}

async function takeOverLeavesNoGap(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const all = [...records("web", 5), record("db", "db-1", 5432)];
  const firstRegistry = await context.open();
  await firstRegistry.announce(owner("node-a", "b1"), all, NEVER);
  const follower = followed(context, await context.open(), "web");
  await until(() => follower.names().length === 5 && follower.state().nodes.size === 1, {
    what: "announced",
    timeoutMs,
  });
  await firstRegistry.close();

  const node = owner("node-a", "b2");
  const session = await (await context.open()).announce(node, records("web", 2), NEVER);
  await until(() => follower.state().nodes.get("node-a")?.boot === "b2", { what: "taken over", timeoutMs });
  assert.deepEqual([...session.entries().keys()].sort(), [
    "db/db-1",
    ...idsOf(records("web", 5)).map((id) => `web/${id}`),
  ]);
  assertAnnouncedWhole(follower, node, idsOf(records("web", 5)));
  const complete = follower.history.findIndex((state) => state.instances.size === 5);
  const gaps = follower.history.slice(complete).filter((state) => state.instances.size < 5 || state.nodes.size < 1);
  assert.equal(gaps.length, 0, "a watcher saw a gap");
  // Past the life of the first session: nothing of it may still hang on that.
  await new Promise((resolve) => setTimeout(resolve, context.goneMs));
  assert.equal([...(await bench.read()).keys()].filter((path) => path.startsWith("web/")).length, 5);
  assert.ok(follower.history.at(-1)?.instances.size === 5 && follower.state().nodes.size === 1);
  await session.drop("web", "web-4");
  await until(() => follower.names().length === 4, { what: "a leftover dropped", timeoutMs });
}

async function announcesAgainUnnoticed(context: CaseContext): Promise<void> {
  const { waitMs: timeoutMs } = context;
  const registry = await context.open();
  const node = owner("node-a", "b1");
  const session = await registry.announce(node, records("web", 3), NEVER);
  const follower = followed(context, await context.open(), "web");
  await until(() => follower.names().length === 3 && nodesAre(context, follower, "node-a"), {
    what: "announced",
    timeoutMs,
  });
  await caughtUp(context, registry, records("web", 3));
  const batches = follower.batches.length;
  await session.close("keep");
  const again = await registry.announce(node, records("web", 3), NEVER);
  await again.put(record("web", "marker", 9_000));
  await until(() => follower.names().includes("marker"), { what: "the marker", timeoutMs });
  assert.equal(follower.batches.length, batches + 1, "the same boot on a living session has nothing to write");
}

async function keepLeavesEntries(context: CaseContext): Promise<void> {
  const { bench } = context;
  const registry = await context.open();
  const session = await registry.announce(owner("node-a", "b1"), records("web", 2), NEVER);
  await session.close("keep");
  await session.close("keep");
  await assert.rejects(session.put(record("web", "late", 1)));
  await registry.close();
  await registry.close();
  assert.ok(!session.lost.aborted, "close is not a loss");
  const paths = [...(await bench.read()).keys()].sort();
  assert.deepEqual(
    paths.filter((path) => path.startsWith("web/") || path.startsWith(".nodes/")),
    [...(context.nodeless ? [] : [".nodes/node-a"]), "web/web-0", "web/web-1"],
  );
}

async function anotherNodesEntryIsLeftAlone({ bench, open, waitMs: timeoutMs }: CaseContext): Promise<void> {
  const [contested, own] = [record("web", "one", 8001), record("web", "two", 8002)];
  const first = await (await open()).announce(owner("node-a", "a1"), [contested], NEVER);
  const second = await (await open()).announce(owner("node-b", "b1"), [contested, own], NEVER);
  await assert.rejects(second.put(contested), hasCode("REGISTRY_FAILED"));
  const now = await bench.read();
  assert.equal(JSON.parse(now.get("web/one") ?? "{}").node, "node-a");
  assert.equal(JSON.parse(now.get("web/two") ?? "{}").node, "node-b");
  assert.deepEqual([...second.entries().keys()], ["web/two"]);

  await first.drop("web", "one");
  const free = (): Promise<boolean> =>
    second.put(contested).then(
      () => true,
      () => false,
    );
  await until(free, { what: "free once its holder dropped it", timeoutMs });
  assert.equal(JSON.parse((await bench.read()).get("web/one") ?? "{}").node, "node-b");
}

export const TAKE_OVER = "a take-over adopts leftovers without a gap";

export const ownershipCases: readonly RegistryCase[] = [
  { name: "a second nerve takes over and fences the first", run: secondNerveFencesFirst },
  { name: "a running nerve notices that it is fenced", run: runningNerveNoticesFencing },
  { name: TAKE_OVER, run: takeOverLeavesNoGap },
  { name: "the same boot announces again unnoticed", run: announcesAgainUnnoticed },
  { name: "an entry that another living node holds is left alone", run: anotherNodesEntryIsLeftAlone },
  { name: "close keep leaves the entries", run: keepLeavesEntries },
];

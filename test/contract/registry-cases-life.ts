import { strict as assert } from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { isStackError } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { timed } from "../support/pauses.ts";
import {
  announced,
  type CaseContext,
  followed,
  hasCode,
  NEVER,
  OUTLASTING_MS,
  owner,
  type RegistryCase,
  record,
  records,
  scene,
  soon,
} from "./registry-case.ts";
import { followServices } from "./registry-follower.ts";

async function saysHowItIs(context: CaseContext): Promise<void> {
  const registry = await context.open();
  assert.equal(registry.status().connected, false, "opening does not connect");
  const { registry: used } = await scene(context, records("web", 1));
  const status = used.status();
  assert.equal(status.type, used.type);
  assert.ok(status.connected && status.target !== "" && status.sinceMs >= 0);
  assert.equal(status.lastError, undefined);
  const { sinceMs } = used.status();
  await pause(30);
  assert.ok(used.status().sinceMs > sinceMs, "its age grows");
}

async function saysHowFreshItIs(context: CaseContext): Promise<void> {
  const unused = (await context.open()).status();
  assert.equal(unused.stalenessMs, undefined, "nothing was proved yet");
  assert.deepEqual(unused.counters, { loads: 0, batches: 0, writes: 0, writeFailures: 0 });
  const { registry, session } = await scene(context, records("web", 1));
  const reader = await context.open();
  const follower = followed(context, reader, "web");
  await soon(context, "read", () => follower.names().length === 1);
  let stalestMs = 0;
  await until(
    () => {
      const { stalenessMs = assert.fail("read, and nothing proved") } = reader.status();
      const fresher = stalenessMs === 0 || stalenessMs < stalestMs;
      stalestMs = stalenessMs;
      return fresher;
    },
    { what: "a new proof without any change", timeoutMs: 6_000 },
  );
  const before = reader.status();
  await session.put(record("web", "more", 1));
  await soon(context, "seen", () => follower.names().includes("more"));
  await soon(context, "a later revision", () => (reader.status().revision ?? 0) > (before.revision ?? Infinity));
  const { loads, batches } = reader.status().counters;
  assert.equal(loads, 1);
  assert.ok(batches > before.counters.batches);
  const { writes, writeFailures } = registry.status().counters;
  assert.ok(writes >= 2, "the announcement, and the one after it");
  assert.equal(writeFailures, 0);
}

async function refusesOnceClosed(context: CaseContext): Promise<void> {
  const { registry, session } = await scene(context, records("web", 1));
  await registry.close();
  const inTime = <T>(work: Promise<T>): Promise<T> =>
    Promise.race([work, pause(1_000, undefined, { ref: false }).then(() => assert.fail("hangs"))]);
  const first = async (stream: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of stream) return;
  };
  await assert.rejects(inTime(registry.announce(owner("node-a", "b1"), [], NEVER)), hasCode("CLOSED"));
  await assert.rejects(inTime(first(registry.watch("web", NEVER))), hasCode("CLOSED"));
  await assert.rejects(inTime(first(registry.services(NEVER))), hasCode("CLOSED"));
  await inTime(session.close("keep"));
  await inTime(registry.close());
}

async function closeEndsWatches(context: CaseContext): Promise<void> {
  await scene(context, records("web", 1));
  const registry = await context.open();
  const endOf = async (stream: AsyncIterable<unknown>, begun: () => void): Promise<unknown> => {
    try {
      for await (const _ of stream) begun();
      return "ended";
    } catch (error) {
      return isStackError(error) ? error.code : error;
    }
  };
  let begun = 0;
  const ends = [registry.watch("web", NEVER), registry.services(NEVER)].map((one) => endOf(one, () => begun++));
  await soon(context, "both watch", () => begun === 2);
  await registry.close();
  const all = await Promise.race([Promise.all(ends), pause(1_000, "still there", { ref: false })]);
  assert.deepEqual(all, ["CLOSED", "CLOSED"]);
}

async function closesAtOnce(context: CaseContext): Promise<void> {
  const { registry } = await scene(context, records("web", 5));
  const follower = followed(context, registry, "web");
  await soon(context, "watched", () => follower.names().length === 5);
  const tookMs = await timed(() => Promise.all([registry.close(), registry.close()]));
  assert.ok(tookMs < 2_000, "close takes no more than 2 s");
  assert.equal(follower.names().length, 5);
}

async function writesFailInTimeAndComeBack(context: CaseContext): Promise<void> {
  const { bench } = context;
  const server = bench.server ?? assert.fail("no server");
  const nerve = announced(context, await context.open(), owner("node-a", "b1"), () => records("web", 2));
  const session = await soon(context, "announced", () => nerve.session());
  await server.kill();
  try {
    const tookMs = await timed(() => assert.rejects(session.put(record("web", "late", 1))));
    assert.ok(tookMs < 5_000, "a write to nobody ends in time");
  } finally {
    await server.start();
  }
  const writes = () =>
    nerve
      .session()
      ?.put(record("web", "later", 1))
      .then(() => true);
  await until(writes, { what: "writes again", timeoutMs: context.waitMs + 5_000 });
  assert.ok((await bench.read()).has("web/later"));
}

async function servicesComeBack(context: CaseContext): Promise<void> {
  const server = context.bench.server ?? assert.fail("no server");
  const registry = await context.open(OUTLASTING_MS);
  const list = followServices(registry);
  context.defer(() => list.stop());
  const nerve = announced(context, await context.open(OUTLASTING_MS), owner("node-a", "b1"), () => records("web", 1));
  await soon(context, "there", () => list.lists.at(-1)?.join() === "web");
  await server.kill();
  await soon(context, "noticed", () => !registry.status().connected);
  await server.start();
  const timeoutMs = context.waitMs + 5_000;
  await until(
    () =>
      nerve
        .session()
        ?.put(record("api", "a", 1))
        .then(() => true),
    { what: "writes", timeoutMs },
  );
  await until(() => list.lists.at(-1)?.join() === "api,web", { what: "told of the new one", timeoutMs });
  const first = list.lists.findIndex((names) => names.includes("web"));
  assert.ok(list.lists.slice(first).every((names) => names.includes("web")));
}

async function saysSoWhenAway(context: CaseContext): Promise<void> {
  const server = context.bench.server ?? assert.fail("no server");
  const { registry } = await scene(context, records("web", 1));
  const reader = await context.open();
  const follower = followed(context, reader, "web");
  await soon(context, "read", () => follower.names().length === 1);
  await server.kill();
  try {
    await soon(context, "both say so", () => !registry.status().connected && !reader.status().connected);
    assert.ok((reader.status().lastError ?? "") !== "");
    assert.equal(follower.names().length, 1, "what was known stays");
    const { stalenessMs = assert.fail("it was read") } = reader.status();
    await pause(100);
    assert.ok((reader.status().stalenessMs ?? 0) >= stalenessMs + 90, "what nobody proves grows stale");
    assert.ok((await timed(() => registry.close())) < 2_000, "closes in time while its server is away");
  } finally {
    await server.start();
  }
  await until(() => reader.status().connected, { what: "connected again", timeoutMs: context.waitMs + 5_000 });
}

export const SAYS_HOW_FRESH = "says how fresh it is, and counts what it does";
export const SAYS_WHEN_AWAY = "says so when its server is away, and closes in time";
export const WRITES_FAIL_IN_TIME = "a write to a server that is away fails in time, and later ones work";
export const SERVICES_COME_BACK = "the list of services comes back after an outage";

export const lifeCases: readonly RegistryCase[] = [
  { name: "says how it is", run: saysHowItIs },
  { name: SAYS_HOW_FRESH, run: saysHowFreshItIs },
  { name: "refuses everything once closed", run: refusesOnceClosed },
  { name: "close ends its watches", run: closeEndsWatches },
  { name: "closes within 2 s, twice at once", run: closesAtOnce },
  { name: WRITES_FAIL_IN_TIME, run: writesFailInTimeAndComeBack },
  { name: SERVICES_COME_BACK, run: servicesComeBack },
  { name: SAYS_WHEN_AWAY, run: saysSoWhenAway },
];

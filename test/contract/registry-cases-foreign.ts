import { strict as assert } from "node:assert";
import { encodeInstance } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import {
  announced,
  type CaseContext,
  followed,
  keyOf,
  NEVER,
  nodesAre,
  owner,
  type RegistryCase,
  record,
  records,
} from "./registry-case.ts";

async function survivesRecreatedPrefix(context: CaseContext): Promise<void> {
  const { bench, waitMs: timeoutMs } = context;
  const wanted = [...records("web", 3), record("db", "db-1", 5432)];
  const nerve = announced(context, await context.open(), owner("node-a", "b1"), () => wanted);
  const follower = followed(context, await context.open(), "web");
  const complete = () => follower.names().length === 3 && nodesAre(context, follower, "node-a");
  const isBack = async (): Promise<boolean> => {
    const now = await bench.read();
    return wanted.every((one) => now.has(keyOf(one))) && complete();
  };
  await until(complete, { what: "announced", timeoutMs });
  for (let round = 0; round < 2; round++) {
    const sessions = nerve.sessions.length;
    await bench.wipe();
    // What no node entry tells is repaired one by one.
    if (!context.nodeless) await until(() => nerve.sessions.length > sessions, { what: "announced again", timeoutMs });
    await until(isBack, { what: "all back", timeoutMs });
  }
  await until(
    () =>
      nerve
        .session()
        ?.put(record("web", "later", 9_000))
        .then(() => true),
    { what: "writes", timeoutMs },
  );
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

export const foreignCases: readonly RegistryCase[] = [
  { name: "survives the prefix being deleted and made again", run: survivesRecreatedPrefix },
  { name: "a malformed document hides one instance", run: hidesMalformed },
  { name: "tells its owner of foreign changes", run: tellsOfForeignChanges },
];

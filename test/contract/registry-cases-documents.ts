import { strict as assert } from "node:assert";
import { encodeInstance, type Instance } from "@smartstack/core";
import {
  type CaseContext,
  followed,
  hasCode,
  NEVER,
  nodesAre,
  owner,
  type RegistryCase,
  record,
  scene,
  soon,
} from "./registry-case.ts";
import { followServices } from "./registry-follower.ts";

export const FULL: Instance = {
  host: "fd00::7",
  port: 65_535,
  name: "web on node-a",
  weight: 0,
  haproxyServerOptions: "check inter 2s",
  labels: { team: "Bäckerei 漢字 🥐", "a.b/c": "" },
  id: "full",
  listen: 3_000,
  mode: "http",
  protocol: "udp",
  zone: "eu-1a",
  container: "0123456789ab",
  image: "shop/web:1",
  state: "draining",
  since: 1_790_000_000_123,
};

export async function seen(context: CaseContext, instance: Instance): Promise<Instance> {
  const { session, follower } = await scene(context, []);
  await session.put({ service: "web", id: "one", instance });
  const found = await soon(context, "seen", () => follower.state().instances.get("one"));
  return found;
}

async function keepsEveryKey(context: CaseContext): Promise<void> {
  assert.deepEqual(await seen(context, FULL), { ...FULL, node: "node-a", boot: "b1" });
}

async function keepsKeyOrder(context: CaseContext): Promise<void> {
  const { session } = await scene(context, []);
  await session.put({ service: "web", id: "one", instance: FULL });
  const text = (await context.bench.read()).get("web/one") ?? "";
  const first = ["host", "port", "name", "weight", "haproxy_server_options", "labels"];
  assert.deepEqual(Object.keys(JSON.parse(text)).slice(0, 6), first);
  assert.equal(text, JSON.stringify(JSON.parse(text)), "compact");
  assert.equal(typeof JSON.parse(text).port, "number");
}

async function namesItsHolder(context: CaseContext): Promise<void> {
  const found = await seen(context, { ...FULL, node: "node-z", boot: "b9" });
  assert.equal(`${found.node} ${found.boot}`, "node-a b1");
}

async function carriesLargeDocuments(context: CaseContext): Promise<void> {
  const large = { host: "127.0.0.1", port: 80, labels: { big: "x".repeat(15_000) } };
  assert.equal((await seen(context, large)).labels?.big?.length, 15_000);
}

async function refusesTooLargeDocuments(context: CaseContext): Promise<void> {
  const { session, follower } = await scene(context, [record("web", "good", 1)]);
  const huge = { host: "127.0.0.1", port: 80, labels: { big: "x".repeat(17_000) } };
  await assert.rejects(session.put({ service: "web", id: "huge", instance: huge }), hasCode("DOCUMENT_INVALID"));
  await session.put(record("web", "after", 2));
  await soon(context, "the one after", () => follower.names().join() === "after,good");
  assert.ok(!session.lost.aborted);
}

async function readsHigherVersions(context: CaseContext): Promise<void> {
  const { follower } = await scene(context, []);
  const text = '{"host":"127.0.0.9","port":"81","colour":{"deep":[1]},"weight":"heavy","v":9}';
  await context.bench.foreign("web/new", text);
  const found = await soon(context, "seen", () => follower.state().instances.get("new"));
  assert.deepEqual(found, { host: "127.0.0.9", port: 81 });
}

async function keepsNamesAsTheyAre(context: CaseContext): Promise<void> {
  const [service, longest] = [`A${"b.C_d-".repeat(21)}E`, `.Id_${"x-".repeat(61)}Y.`];
  assert.ok(service.length === 128 && longest.length === 128);
  const id = longest.slice(0, context.bench.idCharsMax);
  const registry = await context.open();
  const session = await registry.announce(owner("Node.a_B-1", "b1"), [], NEVER);
  await session.put({ service, id, instance: { host: "127.0.0.1", port: 1 } });
  const follower = followed(context, await context.open(), service);
  await soon(context, "seen under its names", () => follower.names()[0] === id);
  assert.ok(nodesAre(context, follower, "Node.a_B-1"));
  assert.ok((await context.bench.read()).has(`${service}/${id}`));
}

async function refusesBadNames(context: CaseContext): Promise<void> {
  const { session } = await scene(context, []);
  const before = [...(await context.bench.read()).keys()].sort();
  const instance = { host: "127.0.0.1", port: 1 };
  for (const service of ["", "../up", "a/b", "a b", "-a", ".nodes", "a".repeat(129)])
    await assert.rejects(session.put({ service, id: "x", instance }), hasCode("NAME_INVALID"), service);
  for (const id of ["", "..", "a/b", "a b", "ü", "a".repeat(129)]) {
    await assert.rejects(session.put({ service: "web", id, instance }), hasCode("NAME_INVALID"), id);
    await assert.rejects(session.drop("web", id), hasCode("NAME_INVALID"), id);
  }
  assert.deepEqual([...(await context.bench.read()).keys()].sort(), before);
}

async function keepsSimilarNamesApart(context: CaseContext): Promise<void> {
  const names = ["web", "web-2", "web.x", "we", "WEB"];
  await scene(
    context,
    names.map((service, index) => record(service, `i${index}`, 8_000 + index)),
  );
  const registry = await context.open();
  for (const [index, service] of names.entries()) {
    const follower = followed(context, registry, service);
    await soon(context, `${service} read`, () => follower.batches.length > 0);
    assert.deepEqual(follower.names(), [`i${index}`], service);
  }
}

async function carriesNodeEntries(context: CaseContext): Promise<void> {
  const node = { node: "node-q", boot: "b7", since: 1_234_567_890_123, host: "Host 7" };
  const { follower } = await scene(context, [], node);
  assert.deepEqual(follower.state().nodes.get("node-q"), node);
}

/** Which nodes a watcher knows of when a malformed node entry lies beside node-a's, and an instance came after it. */
export async function nodesBesideAGhost(context: CaseContext): Promise<string[]> {
  const { bench } = context;
  const { follower } = await scene(context, [record("web", "one", 1)]);
  await bench.foreign(".nodes/ghost", '{"node":');
  await bench.foreign("web/theirs", encodeInstance({ host: "127.0.0.9", port: 9 }));
  await soon(context, "the instance", () => follower.names().join() === "one,theirs");
  return [...follower.state().nodes.keys()];
}

async function malformedNodeHidesOnlyItself(context: CaseContext): Promise<void> {
  assert.deepEqual(await nodesBesideAGhost(context), ["node-a"]);
}

async function leavesForeignKeysAlone(context: CaseContext): Promise<void> {
  const { bench } = context;
  await bench.foreign("README", "not ours");
  await bench.foreign("web/bad name", "{}");
  const { session, registry, follower } = await scene(context, [record("web", "one", 1)]);
  const list = followServices(registry);
  context.defer(() => list.stop());
  await soon(context, "the service", () => list.lists.at(-1)?.join() === "web");
  assert.deepEqual(follower.names(), ["one"]);
  await session.close("withdraw");
  const left = await bench.read();
  assert.equal(left.get("README"), "not ours");
  assert.equal(left.get("web/bad name"), "{}");
}

export const documentCases: readonly RegistryCase[] = [
  { name: "a document keeps every key, Unicode and zeros", run: keepsEveryKey },
  { name: "a document begins with nerve's six keys", run: keepsKeyOrder },
  { name: "a document names who holds it", run: namesItsHolder },
  { name: "a document of 15 KB goes through", run: carriesLargeDocuments },
  { name: "a document of more than 16 KiB is refused alone", run: refusesTooLargeDocuments },
  { name: "a document of a higher version is read as far as it is known", run: readsHigherVersions },
  { name: "names of 128 characters keep their case and signs", run: keepsNamesAsTheyAre },
  { name: "a bad name is refused and writes nothing", run: refusesBadNames },
  { name: "services of similar names stay apart", run: keepsSimilarNamesApart },
  { name: "a node entry arrives as it was announced", run: carriesNodeEntries },
  { name: "a malformed node entry hides only itself", run: malformedNodeHidesOnlyItself },
  { name: "foreign keys are neither read nor touched", run: leavesForeignKeysAlone },
];

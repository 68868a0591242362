import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, isStackError, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { openRegistry } from "@smartstack/registry";
import { afterAll, beforeAll, expect, it } from "vitest";
import { NEVER, owner, records } from "./registry-case.ts";
import { follow } from "./registry-follower.ts";

let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "smartstack-file-"));
});

afterAll(() => rm(base, { recursive: true, force: true }));

function open(root: string): Promise<Registry> {
  return openRegistry(
    { type: "file", prefix: root, ttl: 3_000 },
    { clock: systemClock, random: systemRandom, events: eventBus() },
  );
}

it("removes nothing when its directory goes away, and reads on when it comes back", async () => {
  const root = join(base, "volume");
  const writer = await open(root);
  await writer.announce(owner("node-a", "b1"), records("web", 2), NEVER);
  const reader = await open(root);
  const follower = follow(reader, "web");
  await until(() => follower.names().length === 2, { what: "announced" });
  const resets = follower.resets();
  await rename(root, `${root}.away`);
  await until(() => !reader.status().connected, { what: "noticed" });
  expect(follower.names()).toHaveLength(2);
  await rename(`${root}.away`, root);
  await until(() => follower.resets() > resets, { what: "read again" });
  expect(follower.history.slice(1).every(({ instances }) => instances.size === 2)).toBe(true);
  await follower.stop();
  await Promise.all([writer.close(), reader.close()]);
});

it("leaves one owner when several take over at once", async () => {
  const root = join(base, "race");
  const registries = await Promise.all(Array.from({ length: 5 }, () => open(root)));
  const outcomes = await Promise.allSettled(
    registries.map((registry, index) => registry.announce(owner("node-a", `boot-${index}`), records("web", 1), NEVER)),
  );
  const sessions = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const writes = async (): Promise<number> => {
    const tries = await Promise.allSettled(
      sessions.map((session) => session.put({ service: "web", id: "x", instance: { host: "h", port: 1 } })),
    );
    return tries.filter(({ status }) => status === "fulfilled").length;
  };
  await until(async () => (await writes()) === 1, { what: "one of them may write" });
  for (const outcome of outcomes) if (outcome.status === "rejected") expect(isStackError(outcome.reason)).toBe(true);
  await Promise.all(registries.map((registry) => registry.close()));
});

it("is not harmed by what others put into the directory", async () => {
  const root = join(base, "foreign");
  const registry = await open(root);
  await registry.announce(owner("node-a", "b1"), records("web", 1), NEVER);
  await writeFile(join(root, "README"), "hello");
  await writeFile(join(root, "web", "notes.txt"), "hello");
  await writeFile(join(root, "web", "bad name!.json"), "{}");
  await writeFile(join(root, ".nodes", "torn.json"), '{"node":"torn",');
  await writeFile(join(root, "web", "big.json"), Buffer.alloc(50 * 1024 * 1024, "x"));
  const follower = follow(registry, "web");
  await until(() => follower.names().join() === "web-0" && follower.state().nodes.size === 1, {
    what: "the good ones",
  });
  await follower.stop();
  await registry.close();
});

import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startChild, untilReady } from "../support/children.ts";
import { NEVER, owner, record, records } from "./registry-case.ts";
import { follow } from "./registry-follower.ts";
import { openers } from "./registry-real-harness.ts";

const WRITER = fileURLToPath(new URL("./registry-writer.mjs", import.meta.url));

let base: string;

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "smartstack-files-"));
});

afterAll(() => rm(base, { recursive: true, force: true }));

it("is harmed by no file, whatever it is", async () => {
  const root = join(base, "foreign");
  const bench = openers({ type: "file", prefix: root, ttl: 3_000 });
  const rejected = new Set<string>();
  bench.events.subscribe((event) => {
    if (event.name === "registry.document_rejected") rejected.add(`${event.data.service}/${event.data.id}`);
  });
  for (const folder of [".nodes", "web", "db/deep", "not a service"])
    await mkdir(join(root, folder), { recursive: true });
  for (const folder of [".nodes", "web"]) {
    const at = (name: string): string => join(root, folder, `${name}.json`);
    await mkdir(at("folder"));
    execFileSync("mkfifo", [at("pipe")]);
    await symlink("/dev/zero", at("endless"));
    await symlink(at("loop"), at("loop"));
    await symlink("/nowhere", at("dangling"));
    await writeFile(at("torn"), '{"host":"127.0.0.1","po');
    await writeFile(at("huge"), "");
    await truncate(at("huge"), 100 * 1024 * 1024);
    await writeFile(at("binary"), Buffer.from([0xff, 0xfe, 0, 1]));
    await writeFile(at("no-utf8"), Buffer.concat([Buffer.from('{"host":"'), Buffer.from([0xff]), Buffer.from('"}')]));
    await writeFile(at("empty"), "");
    await writeFile(at("locked"), "{}");
    await chmod(at("locked"), 0);
    await writeFile(join(root, folder, "no-suffix"), "?");
  }
  await writeFile(join(root, "stray.json"), "?");
  const reader = await bench.open();
  const follower = follow(reader, "web");
  const session = await (await bench.open()).announce(owner("node-a", "b1"), records("web", 3), NEVER);
  await until(() => follower.names().length === 3 && follower.state().nodes.size === 1, {
    what: "ours, and only ours",
  });
  await session.put(record("web", "more", 1));
  await until(() => follower.names().includes("more"), { what: "still followed" });
  expect(reader.status().connected).toBe(true);
  for (const name of ["torn", "huge", "binary", "no-utf8", "empty"]) expect(rejected).toContain(`web/${name}`);
  expect(follower.resets()).toBe(1);
  await session.close("withdraw");
  await follower.stop();
  await reader.close();
});

it("shows no torn document, however often its writers are killed with -9", async () => {
  const root = join(base, "crash");
  const bench = openers({ type: "file", prefix: root, ttl: 3_000 });
  let rejected = 0;
  bench.events.subscribe((event) => {
    if (event.name === "registry.document_rejected") rejected++;
  });
  const reader = await bench.open();
  const follower = follow(reader, "web");
  const config = { type: "file", prefix: root, ttl: 3_000 };
  for (let round = 1; round <= 4; round++) {
    const writers = ["node-a", "node-b"].map((node) =>
      startChild(process.execPath, [WRITER, JSON.stringify({ config, node, boot: `b${round}`, service: "web" })]),
    );
    for (const writer of writers) await untilReady(writer, "a writer", () => writer.output().includes("announced"));
    const seen = follower.history.length;
    const both = () => ["node-a", "node-b"].every((node) => follower.state().nodes.get(node)?.boot === `b${round}`);
    await until(() => both() && follower.history.length > seen + 2, { what: `round ${round} is followed` });
    for (const writer of writers) writer.process.kill("SIGKILL");
  }
  await until(() => follower.names().length === 0, { what: "the last ones are gone" });
  expect(rejected).toBe(0);
  expect(follower.resets()).toBe(1);
  await follower.stop();
  await reader.close();
});

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, type StackEvent } from "@smartstack/core";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Cache, type CachedView, cacheFile, openCache } from "./cache.ts";

const VIEW: CachedView = new Map([["web", new Map([["a-80", { host: "10.0.0.1", port: 80, node: "n", boot: "b" }]])]]);

let folder: string;
let seen: StackEvent[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "synapse-cache-"));
  seen = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function open(take: () => CachedView, clock = fakeClock()): Cache {
  const events = eventBus();
  events.subscribe((event) => seen.push(event));
  return openCache(folder, take, { clock, events });
}

const names = (): string[] => seen.map((event) => event.name);

describe("openCache", () => {
  it("gives back what was written", async () => {
    const first = open(() => VIEW);
    first.changed();
    await first.close();
    const second = open(() => new Map());
    expect(await second.load()).toEqual(VIEW);
    expect(seen).toEqual([{ name: "cache.loaded", data: { file: cacheFile(folder), services: 1 } }]);
  });

  it("has nothing to say where there is no file", async () => {
    expect(await open(() => VIEW).load()).toEqual(new Map());
    expect(seen).toEqual([]);
  });

  it("ignores a torn file at every length, with an event", async () => {
    const writer = open(() => VIEW);
    writer.changed();
    await writer.close();
    const whole = await readFile(cacheFile(folder), "utf8");
    for (let length = 0; length < whole.length; length++) {
      await writeFile(cacheFile(folder), whole.slice(0, length));
      seen = [];
      expect(await open(() => VIEW).load()).toEqual(new Map());
      expect(names()).toEqual(["cache.failed"]);
    }
  });

  it.each([
    '{"v":1,"services":{"../x":{}}}',
    '{"v":1,"services":{"web":{"..":"{}"}}}',
    '{"v":1,"services":{"web":{"a":"{}"}}}',
    "[]",
  ])("ignores %s", async (text) => {
    await writeFile(cacheFile(folder), text);
    expect(await open(() => VIEW).load()).toEqual(new Map());
    expect(names()).toEqual(["cache.failed"]);
  });

  it("writes at most once a second, and only what differs", async () => {
    const clock = fakeClock();
    let taken = 0;
    const cache = open(() => {
      taken++;
      return VIEW;
    }, clock);
    for (let change = 0; change < 50; change++) cache.changed();
    await clock.advance(999);
    expect(taken).toBe(0);
    await clock.advance(1);
    await until(async () => (await readdir(folder)).includes("view.json"), { what: "the file" });
    cache.changed();
    await clock.advance(1_000);
    // Not before the first one is through, which the file's being there does not say.
    await until(() => taken > 1, { what: "the second writing" });
    await cache.close();
    expect(taken).toBe(2);
    expect(await readdir(folder)).toEqual(["view.json"]);
  });

  it("reports a folder it cannot write to, and goes on", async () => {
    await rm(folder, { recursive: true });
    await writeFile(folder, "a file where a folder should be");
    const cache = open(() => VIEW);
    cache.changed();
    await cache.close();
    expect(names()).toEqual(["cache.failed"]);
  });
});

import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventBus, type StackEvent, systemClock } from "@smartstack/core";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Reload, watchConfig } from "./reload.ts";

let folder: string;
let reload: Reload | undefined;
let applied: string[];
let seen: StackEvent[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "smartstack-reload-"));
  applied = [];
  seen = [];
});

afterEach(async () => {
  await reload?.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(file: string, clock = systemClock): void {
  const events = eventBus();
  events.subscribe((event) => seen.push(event));
  reload = watchConfig({
    file,
    clock,
    events,
    initial: readFileSync(file, "utf8"),
    read: () => readFileSync(file, "utf8"),
    apply(text) {
      if (text.includes("bad")) throw new Error(`${file}:1:1: bad`);
      applied.push(text);
    },
  });
}

/** Events of before a watcher is ready are lost; the product has its net, these tests ask until one is seen. */
async function watching(file: string): Promise<void> {
  let i = 0;
  await until(
    () => {
      if (i++ % 25 === 0) writeFileSync(file, `probe ${i}`);
      return applied.length > 0;
    },
    { what: "the watcher sees a change" },
  );
  const last = readFileSync(file, "utf8");
  await until(() => applied.at(-1) === last, { what: "the last probe is in force" });
  applied = [];
  seen = [];
}

describe("watchConfig", () => {
  it("follows a file through every way of replacing it", async () => {
    const file = join(folder, "a.yaml");
    writeFileSync(file, "0");
    start(file);
    await watching(file);
    const write = (text: string): void => writeFileSync(file, text);
    const rename = (text: string): void => {
      writeFileSync(`${file}.tmp`, text);
      renameSync(`${file}.tmp`, file);
    };
    const remake = (text: string): void => {
      unlinkSync(file);
      writeFileSync(file, text);
    };
    for (const [i, replace] of [write, rename, rename, remake, write].entries()) {
      replace(`text ${i}`);
      await until(() => applied.at(-1) === `text ${i}`, { what: `text ${i} is in force` });
    }
    expect(seen.every((event) => event.name === "config.reloaded")).toBe(true);
  });

  it("follows the swap of a Kubernetes config map", async () => {
    const version = (name: string, text: string): void => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "a.yaml"), text);
      symlinkSync(name, join(folder, "..data_tmp"));
      renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    };
    version("..v1", "one");
    const file = join(folder, "a.yaml");
    symlinkSync(join("..data", "a.yaml"), file);
    start(file);
    await watching(file);
    version("..v2", "two");
    await until(() => applied.at(-1) === "two", { what: "two is in force" });
  });

  it("keeps the last good text, says once what is wrong, and takes the mended one", async () => {
    const file = join(folder, "a.yaml");
    writeFileSync(file, "0");
    start(file);
    await watching(file);
    writeFileSync(file, "bad");
    await until(() => seen.length > 0, { what: "the rejection" });
    expect(seen).toEqual([{ name: "config.rejected", data: { file, reason: `${file}:1:1: bad` } }]);
    expect(applied).toEqual([]);
    writeFileSync(file, "good");
    await until(() => applied.at(-1) === "good", { what: "good is in force" });
  });

  it("reads again on demand, and every minute without any event", async () => {
    const clock = fakeClock();
    const file = join(folder, "a.yaml");
    writeFileSync(file, "0");
    start(file, clock);
    reload?.now();
    expect(applied).toEqual(["0"]);
    writeFileSync(file, "1");
    await clock.advance(60_000);
    expect(applied).toEqual(["0", "1"]);
    await clock.advance(120_000);
    expect(applied).toEqual(["0", "1"]);
  });
});

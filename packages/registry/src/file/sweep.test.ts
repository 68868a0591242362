import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeInstance, encodeNodeEntry, systemClock } from "@smartstack/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Disk, diskAt } from "./disk.ts";
import { type Snapshot, scanner } from "./scan.ts";
import { cleanTemps, longDead, sweep } from "./sweep.ts";

let root: string;
let disk: Disk;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "smartstack-sweep-"));
  disk = diskAt(root, systemClock, "tag");
  for (const node of ["dead", "other"]) {
    await disk.write(`.nodes/${node}`, encodeNodeEntry({ node, boot: "b1", since: 0, host: "h" }));
    await disk.write(`web/${node}-80`, encodeInstance({ host: "h", port: 80, node, boot: "b1" }));
  }
  await disk.write("web/nobodys", encodeInstance({ host: "h", port: 81 }));
  await disk.write("web/orphan-80", encodeInstance({ host: "h", port: 82, node: "orphan", boot: "b1" }));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function look(): Promise<Snapshot> {
  return (await scanner(disk)()) ?? expect.fail();
}

const files = async (): Promise<string[]> => [
  ...(await readdir(join(root, ".nodes"))),
  ...(await readdir(join(root, "web"))).sort(),
];

describe("sweep", () => {
  it("takes a node for long dead after ten ttls of standing still, with or without a node entry", async () => {
    const dead = longDead(3_000, 2_000);
    const snapshot = await look();
    expect(dead(snapshot, 0)).toEqual([]);
    for (let second = 1; second < 30; second++) expect(dead(snapshot, 1_000)).toEqual([]);
    expect(dead(snapshot, 1_000).sort()).toEqual(["dead", "orphan", "other"]);
    await disk.write(".nodes/other", encodeNodeEntry({ node: "other", boot: "b2", since: 0, host: "h" }));
    expect(dead(await look(), 1_000).sort()).toEqual(["dead", "orphan"]);
  });

  it("deletes what is that node's, and nothing else", async () => {
    await sweep(disk, await look(), "dead");
    await sweep(disk, await look(), "orphan");
    expect(await files()).toEqual(["other.json", "nobodys.json", "other-80.json"]);
  });

  it("stops when the node is back", async () => {
    const snapshot = await look();
    await disk.write(".nodes/dead", encodeNodeEntry({ node: "dead", boot: "b2", since: 1, host: "h" }));
    await sweep(disk, snapshot, "dead");
    expect(await files()).toContain("dead-80.json");
    expect(await files()).toContain("dead.json");
  });

  it("deletes temp files that a crash left, not those under a writer's hands", async () => {
    for (const name of ["old.json.x1.tmp", "new.json.x2.tmp", "theirs.tmp"])
      await writeFile(join(root, "web", name), "{");
    for (const name of ["old.json.x1.tmp", "theirs.tmp"]) await utimes(join(root, "web", name), 1, 1);
    await cleanTemps(disk);
    const names = await files();
    expect(names).not.toContain("old.json.x1.tmp");
    expect(names).toContain("new.json.x2.tmp");
    expect(names).toContain("theirs.tmp");
  });
});

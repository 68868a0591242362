import { describe, expect, it } from "vitest";
import { contents, type Held, placeOf } from "./contents.ts";

const doc = (port: number): Held => ({ text: `{"host":"h","port":${port}}` });
const node: Held = { text: '{"node":"n","boot":"b","since":1,"host":"h"}' };

describe("placeOf", () => {
  it.each([
    ["web/abc-80", { kind: "instance", service: "web", id: "abc-80" }],
    [".nodes/node-a", { kind: "node", id: "node-a" }],
    ["web", undefined],
    ["web/a/b", undefined],
    ["we b/x", undefined],
    [".nodes/-x", undefined],
    [".owners/n@b", undefined],
    ["web/..", undefined],
  ])("%s", (path, place) => expect(placeOf(path)).toEqual(place));
});

describe("contents", () => {
  it("says what a change means to each service's watchers, node entries to all", () => {
    const copy = contents(() => undefined);
    const delta = copy.apply(
      new Map([
        ["web/a", doc(1)],
        ["db/b", doc(2)],
        [".nodes/n", node],
      ]),
    );
    expect([...delta.services.keys()]).toEqual(["web", "db"]);
    expect(delta.nodes).toHaveLength(1);
    expect(delta.namesChanged).toBe(true);
    expect(copy.entriesOf("web").map(({ id }) => id)).toEqual(["a", "n"]);
    expect(copy.serviceNames()).toEqual(["db", "web"]);
  });

  it("has no news for the same words on another lease, but knows the lease", () => {
    const copy = contents(() => undefined);
    copy.apply(new Map([["web/a", { ...doc(1), hold: "1" }]]));
    const delta = copy.apply(new Map([["web/a", { ...doc(1), hold: "2" }]]));
    expect(delta).toEqual({ nodes: [], services: new Map(), namesChanged: false });
    expect(copy.get("web/a")?.hold).toBe("2");
  });

  it("tells of names only when a service appears or vanishes", () => {
    const copy = contents(() => undefined);
    copy.apply(new Map([["web/a", doc(1)]]));
    expect(copy.apply(new Map([["web/b", doc(1)]])).namesChanged).toBe(false);
    expect(copy.apply(new Map([["web/a", undefined]])).namesChanged).toBe(false);
    expect(copy.apply(new Map([["web/b", undefined]])).namesChanged).toBe(true);
    expect(copy.serviceNames()).toEqual([]);
  });

  it("hides what does not parse, once it did, and rejects each text once", () => {
    const rejected: string[] = [];
    const copy = contents((service, id) => rejected.push(`${service}/${id}`));
    copy.apply(new Map([["web/a", doc(1)]]));
    const delta = copy.apply(new Map([["web/a", { text: "{" }]]));
    expect(delta.services.get("web")).toEqual([{ type: "drop", kind: "instance", id: "a" }]);
    copy.apply(new Map([["web/a", { text: "{", hold: "2" }]]));
    expect(rejected).toEqual(["web/a"]);
    expect(copy.entriesOf("web")).toEqual([]);
  });
});

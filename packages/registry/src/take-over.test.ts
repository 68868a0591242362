import { DOCUMENT_BYTES_MAX, encodeInstance, type NodeEntry } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { transactionsOf } from "./driver.ts";
import { claimedBy } from "./session.ts";
import { takeOver } from "./take-over.ts";

const owner: NodeEntry = { node: "n", boot: "new", since: 1, host: "h" };
const instance = { host: "h", port: 1 };

describe("takeOver", () => {
  it("restores what is wanted and adopts what an earlier run left, under the new boot", () => {
    const left = encodeInstance(claimedBy({ ...owner, boot: "old" }, { ...instance, port: 7 }));
    const writes = takeOver(
      owner,
      [{ service: "web", id: "a", instance }],
      [["web/z", { text: left, hold: "1" }]],
      "2",
    );
    expect(writes).toEqual([
      { path: "web/z", text: encodeInstance(claimedBy(owner, { ...instance, port: 7 })) },
      { path: "web/a", text: encodeInstance(claimedBy(owner, instance)) },
    ]);
  });

  it("leaves alone what lies there already on the same hold, and moves it when on another", () => {
    const text = encodeInstance(claimedBy(owner, instance));
    const restore = [{ service: "web", id: "a", instance }];
    expect(takeOver(owner, restore, [["web/a", { text, hold: "1" }]], "1")).toEqual([]);
    expect(takeOver(owner, restore, [["web/a", { text, hold: "1" }]], "2")).toEqual([{ path: "web/a", text }]);
  });

  it("touches neither other nodes' entries nor what does not parse", () => {
    const other = encodeInstance(claimedBy({ ...owner, node: "other" }, instance));
    expect(
      takeOver(
        owner,
        [],
        [
          ["web/b", { text: other }],
          ["web/c", { text: "{" }],
          ["web/d", { text: '{"host":"h","port":1}' }],
        ],
        undefined,
      ),
    ).toEqual([]);
  });

  it("leaves alone what our keys would make too long", () => {
    const bare = '{"host":"h","port":1,"node":"n","image":""}';
    const text = bare.replace('"image":"', `"image":"${"x".repeat(DOCUMENT_BYTES_MAX - bare.length)}`);
    const large = { ...instance, image: "x".repeat(DOCUMENT_BYTES_MAX) };
    const restore = [
      { service: "web", id: "a", instance: large },
      { service: "web", id: "b", instance },
    ];
    expect(takeOver(owner, restore, [["web/z", { text }]], undefined)).toEqual([
      { path: "web/b", text: encodeInstance(claimedBy(owner, instance)) },
    ]);
  });
});

describe("transactionsOf", () => {
  it("keeps to the limits of etcd and ZooKeeper in operations and bytes", () => {
    const small = Array.from({ length: 250 }, (_, index) => ({ text: String(index) }));
    expect(transactionsOf(small).map((part) => part.length)).toEqual([98, 98, 54]);
    const large = Array.from({ length: 90 }, () => ({ text: "x".repeat(16 * 1024) }));
    const parts = transactionsOf(large);
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(32);
    expect(parts.flat()).toHaveLength(90);
    expect(transactionsOf([])).toEqual([]);
  });
});

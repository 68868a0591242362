import { entryKey, type Instance, type InstanceRecord } from "@smartstack/core";
import { expect, test } from "vitest";
import { type Desired, plan } from "./plan.ts";

function record(id: string, port: number): InstanceRecord {
  return { service: "web", id, instance: { host: "10.0.0.1", port } };
}

function desired(records: readonly InstanceRecord[], keeps: (key: string) => boolean): Desired {
  const byKey = new Map(records.map((one) => [entryKey(one.service, one.id), one]));
  return { keys: new Set([...byKey.keys(), ...entries.keys()]), record: (key) => byKey.get(key), keeps };
}

const entries = new Map<string, Instance>([
  ["web/same", { host: "10.0.0.1", port: 1 }],
  ["web/moved", { host: "10.0.0.1", port: 2 }],
  ["web/gone", { host: "10.0.0.1", port: 3 }],
  ["web/undecided", { host: "10.0.0.1", port: 4 }],
]);

test("writes the difference and nothing else", () => {
  const records = [record("same", 1), record("moved", 22), record("fresh", 5)];
  const work = plan(
    desired(records, (key) => key === "web/undecided"),
    entries,
  );
  expect(work.put.map(({ id }) => id)).toEqual(["moved", "fresh"]);
  expect(work.drop).toEqual([{ service: "web", id: "gone" }]);
});

test("what is as desired costs nothing", () => {
  const work = plan(
    desired([record("same", 1)], () => true),
    entries,
  );
  expect(work).toEqual({ put: [], drop: [] });
});

test("looks nowhere else than it is told to", () => {
  const all = desired([record("moved", 22), record("fresh", 5)], () => false);
  const work = plan({ ...all, keys: new Set(["web/moved", "web/gone", "web/nowhere"]) }, entries);
  expect(work).toEqual({ put: [record("moved", 22)], drop: [{ service: "web", id: "gone" }] });
});

import type { Instance, InstanceRecord } from "@smartstack/core";
import { expect, test } from "vitest";
import { plan, recordsByKey } from "./plan.ts";

function record(id: string, port: number): InstanceRecord {
  return { service: "web", id, instance: { host: "10.0.0.1", port } };
}

const entries = new Map<string, Instance>([
  ["web/same", { host: "10.0.0.1", port: 1 }],
  ["web/moved", { host: "10.0.0.1", port: 2 }],
  ["web/gone", { host: "10.0.0.1", port: 3 }],
  ["web/undecided", { host: "10.0.0.1", port: 4 }],
]);

test("writes the difference and nothing else", () => {
  const records = recordsByKey([record("same", 1), record("moved", 22), record("fresh", 5)]);
  const work = plan({ records, keeps: (key) => key === "web/undecided" }, entries);
  expect(work.put.map(({ id }) => id)).toEqual(["moved", "fresh"]);
  expect(work.drop).toEqual([{ service: "web", id: "gone" }]);
});

test("what is as desired costs nothing", () => {
  expect(plan({ records: recordsByKey([record("same", 1)]), keeps: () => true }, entries)).toEqual({
    put: [],
    drop: [],
  });
});

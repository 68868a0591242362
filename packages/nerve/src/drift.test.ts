import { expect, test } from "vitest";
import { containerFacts } from "./containers.ts";
import type { ContainerSummary } from "./docker-api.ts";
import { drift, summaryFacts } from "./drift.ts";

const FACTS = containerFacts({
  Id: "c1",
  Name: "/web",
  State: { Status: "running", Running: true, Health: { Status: "healthy" } },
  NetworkSettings: { Networks: { b: { IPAddress: "172.18.0.2" }, a: { IPAddress: "172.17.0.2" } } },
});
const SUMMARY: ContainerSummary = {
  Id: "c1",
  Names: ["/web"],
  State: "running",
  Status: "Up 5 minutes (healthy)",
  NetworkSettings: { Networks: { a: { IPAddress: "172.17.0.2" }, b: { IPAddress: "172.18.0.2" } } },
};

test("agreement", () => {
  expect(drift(FACTS, SUMMARY)).toBeUndefined();
});

test.each<[string, Partial<ContainerSummary>, RegExp]>([
  ["ended", { State: "exited" }, /is exited, was taken for running/],
  ["renamed", { Names: ["/api"] }, /is named api/],
  ["unhealthy", { Status: "Up 5 minutes (unhealthy)" }, /is unhealthy, was taken for healthy/],
  ["starting", { Status: "Up 1 second (health: starting)" }, /is starting/],
  ["moved", { NetworkSettings: { Networks: { a: { IPAddress: "172.17.0.9" } } } }, /is on a 172.17.0.9/],
])("%s", (_, change, what) => {
  expect(drift(FACTS, { ...SUMMARY, ...change })).toMatch(what);
});

test("a container that does not run is known well enough from the list", () => {
  const stopped: ContainerSummary = {
    ...SUMMARY,
    State: "exited",
    Status: "Exited (0) 2 days ago",
    NetworkSettings: { Networks: { a: { IPAddress: "" } } },
  };
  expect(summaryFacts(stopped)).toMatchObject({ name: "web", running: false, status: "exited" });
  expect(drift(summaryFacts(stopped), stopped)).toBeUndefined();
});

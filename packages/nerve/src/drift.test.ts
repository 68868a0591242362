import { expect, test } from "vitest";
import { containerFacts } from "./containers.ts";
import type { ContainerSummary } from "./docker-api.ts";
import { drift, seemsRestarted, summaryFacts } from "./drift.ts";

const FACTS = containerFacts({
  Id: "c1",
  Name: "/web",
  State: { Status: "running", Running: true, Health: { Status: "healthy" } },
  NetworkSettings: {
    Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "32768" }], "81/tcp": null },
    Networks: { b: { IPAddress: "172.18.0.2", GlobalIPv6Address: "fd00::2" }, a: { IPAddress: "172.17.0.2" } },
  },
});
const SUMMARY: ContainerSummary = {
  Id: "c1",
  Names: ["/web"],
  State: "running",
  Status: "Up 5 minutes (healthy)",
  Ports: [
    { PrivatePort: 81, Type: "tcp" },
    { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 32768, Type: "tcp" },
  ],
  NetworkSettings: {
    Networks: { a: { IPAddress: "172.17.0.2" }, b: { IPAddress: "172.18.0.2", GlobalIPv6Address: "fd00::2" } },
  },
};

test.each<[string, Partial<ContainerSummary>]>([
  ["to the letter", {}],
  ["all addresses, written the short way", { Ports: [{ PrivatePort: 80, PublicPort: 32768, Type: "tcp" }] }],
  ["no word of ports", { Ports: null }],
])("agreement: %s", (_, change) => {
  expect(drift(FACTS, { ...SUMMARY, ...change })).toBeUndefined();
});

test.each<[string, Partial<ContainerSummary>, RegExp]>([
  ["ended", { State: "exited" }, /is exited, was taken for running/],
  ["renamed", { Names: ["/api"] }, /is named api/],
  ["unhealthy", { Status: "Up 5 minutes (unhealthy)" }, /is unhealthy, was taken for healthy/],
  ["starting", { Status: "Up 1 second (health: starting)" }, /is starting/],
  [
    "published elsewhere",
    { Ports: [{ IP: "0.0.0.0", PrivatePort: 80, PublicPort: 32769, Type: "tcp" }] },
    /publishes 0.0.0.0:32769->80\/tcp, was taken to publish 0.0.0.0:32768->80\/tcp/,
  ],
  ["published no more", { Ports: [] }, /publishes nothing/],
  [
    "moved by IPv6 alone",
    { NetworkSettings: { Networks: { a: { IPAddress: "172.17.0.2" }, b: { IPAddress: "172.18.0.2" } } } },
    /is on a 172.17.0.2, b 172.18.0.2, was/,
  ],
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

test.each([
  ["Up Less than a second", 2_100, true],
  ["Up 9 seconds", 30_000, true],
  ["Up 30 seconds (healthy)", 30_000, false],
  ["Up About a minute", 119_000, false],
  ["Up About a minute", 122_000, true],
  ["Up 5 minutes", 359_000, false],
  ["Up 5 minutes (Paused)", 362_000, true],
  ["Up About an hour", 86_400_000, false],
  ["", 86_400_000, false],
])("%s, known for %d ms, seems restarted: %s", (status, knownMs, expected) => {
  expect(seemsRestarted(FACTS, { ...SUMMARY, Status: status }, knownMs)).toBe(expected);
});

import { expect, test } from "vitest";
import { containerFacts } from "./containers.ts";
import type { ContainerSummary } from "./docker-api.ts";
import { drift, summaryFacts } from "./drift.ts";

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
const KNOWN_MS = 30_000;

test.each<[string, Partial<ContainerSummary>]>([
  ["to the letter", {}],
  ["all addresses, written the short way", { Ports: [{ PrivatePort: 80, PublicPort: 32768, Type: "tcp" }] }],
  ["no word of ports", { Ports: null }],
  ["up since it was inspected", { Status: "Up 30 seconds (healthy)" }],
  ["up for long", { Status: "Up 2 weeks (healthy)" }],
])("agreement: %s", (_, change) => {
  expect(drift(FACTS, { ...SUMMARY, ...change }, KNOWN_MS)).toBeUndefined();
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
  ["another run", { Status: "Up 9 seconds (healthy)" }, /has been restarted/],
  ["another run, just now", { Status: "Up Less than a second (healthy)" }, /has been restarted/],
  ["moved", { NetworkSettings: { Networks: { a: { IPAddress: "172.17.0.9" } } } }, /is on a 172.17.0.9/],
])("%s", (_, change, what) => {
  expect(drift(FACTS, { ...SUMMARY, ...change }, KNOWN_MS)).toMatch(what);
});

test("a container that does not run is known well enough from the list", () => {
  const stopped: ContainerSummary = {
    ...SUMMARY,
    State: "exited",
    Status: "Exited (0) 2 days ago",
    NetworkSettings: { Networks: { a: { IPAddress: "" } } },
  };
  expect(summaryFacts(stopped)).toMatchObject({ name: "web", running: false, status: "exited" });
  expect(drift(summaryFacts(stopped), stopped, KNOWN_MS)).toBeUndefined();
});

test.each([
  ["Up About a minute", 119_000, undefined],
  ["Up About a minute", 122_000, "has been restarted"],
  ["Up 5 minutes", 359_000, undefined],
  ["Up 5 minutes", 362_000, "has been restarted"],
  ["Up About an hour", 86_400_000, undefined],
])("%s, known for %d ms: %s", (status, knownMs, expected) => {
  expect(drift(FACTS, { ...SUMMARY, Status: `${status} (healthy)` }, knownMs)).toBe(expected);
});

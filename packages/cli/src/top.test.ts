import { NO_SERVICE_COUNTERS, type ServiceStatus } from "@smartstack/core";
import { expect, test } from "vitest";
import { topLines } from "./commands/top.ts";

function service(name: string, mode: "tcp" | "http", requests: number, failed: number): ServiceStatus {
  const counters = {
    ...NO_SERVICE_COUNTERS,
    activeClients: 3,
    connections: requests,
    requests,
    noBackend: failed,
  };
  return {
    name,
    mode,
    listeners: [{ address: "127.0.0.1:3000", state: "bound" }],
    backends: [],
    problems: [],
    counters: { ...counters, responses: [0, 0, 0, 0, 0, failed] },
  };
}

test("rates are over the time that has passed; a new service's begin at nothing, a restarted one's too", () => {
  const before = [service("web", "http", 100, 2), service("again", "tcp", 1_000, 0)];
  const now = [service("web", "http", 150, 4), service("again", "tcp", 10, 1), service("db", "tcp", 20, 1)];
  expect(topLines({ atMs: 1_000, services: before }, { atMs: 3_000, services: now })).toEqual([
    "SERVICE  MODE  REQ/S  CLIENTS  ERR/S  BACKENDS  LISTEN",
    "web      http  25.0   3        1.0    0/0       127.0.0.1:3000",
    "again    tcp   0.0    3        0.5    0/0       127.0.0.1:3000",
    "db       tcp   10.0   3        0.5    0/0       127.0.0.1:3000",
  ]);
});

test("no service is said, not shown as an empty table", () => {
  expect(topLines({ atMs: 0, services: [] }, { atMs: 1, services: [] })).toEqual(["no service is served here"]);
});

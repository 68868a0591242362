import { type ListenerStatus, NO_BACKEND_COUNTERS, NO_SERVICE_COUNTERS } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import type { ProxyBackendStatus, ProxyServiceStatus } from "../data-plane.ts";
import { changedReports, fold, mergeBackend, mergeListeners, sumReports } from "./merge.ts";

function report(requests: number, backends: Readonly<Record<string, number>>, activeClients = 1): ProxyServiceStatus {
  return {
    name: "web",
    revision: 1,
    listeners: [{ address: "127.0.0.1:80", state: "bound" }],
    backends: Object.entries(backends).map(([key, served]) => ({
      key,
      health: "up",
      usable: true,
      effectiveWeight: 1,
      reason: "up",
      sinceMs: 0,
      counters: { ...NO_BACKEND_COUNTERS, active: 1, requests: served },
    })),
    counters: {
      ...NO_SERVICE_COUNTERS,
      activeClients,
      connections: 1,
      requests,
      responses: [0, 0, requests, 0, 0, 0],
    },
  };
}

describe("reports", () => {
  it("are summed, by service and by backend", () => {
    const { service, backends } = sumReports([report(3, { a: 1, b: 2 }), report(4, { b: 4 })]);
    expect(service).toMatchObject({ activeClients: 2, requests: 7, responses: [0, 0, 7, 0, 0, 0] });
    expect([...backends].map(([key, { requests, active }]) => [key, requests, active])).toEqual([
      ["a", 1, 1],
      ["b", 6, 2],
    ]);
  });

  it("of workers that are gone keep what was counted, of what still exists", () => {
    const once = fold(undefined, report(3, { a: 1, b: 2 }), new Set(["a", "b"]));
    const twice = fold(once, report(5, { b: 4, c: 1 }), new Set(["b", "c"]));
    expect(twice.counters).toMatchObject({ activeClients: 0, connections: 2, requests: 8 });
    expect(twice.backends.map(({ key, counters }) => [key, counters.requests, counters.active])).toEqual([
      ["b", 6, 0],
      ["c", 1, 0],
    ]);
  });

  it("tell where traffic took a backend out", () => {
    const [of, out] = [report(0, { a: 1 }), report(0, { a: 1 })];
    const [backend] = of.backends as [ProxyBackendStatus];
    const ejected = { ...out, backends: [{ ...backend, usable: false, reason: "ejected for 5 s: status 500" }] };
    expect(mergeBackend(backend, [of, out])).toEqual(backend);
    const reason = (count: number): string => `out at ${count} of 2 workers: ejected for 5 s: status 500`;
    expect(mergeBackend(backend, [of, ejected])).toMatchObject({ usable: true, reason: reason(1) });
    expect(mergeBackend(backend, [ejected, ejected])).toMatchObject({ usable: false, reason: reason(2) });
    const down = { ...backend, usable: false, reason: "3 probes failed" };
    expect(mergeBackend(down, [ejected])).toEqual(down);
    expect(changedReports(new Map([["web", of]]), [ejected])).toEqual([ejected]);
  });

  it("are sent only of what changed", () => {
    const [web, api] = [report(3, { a: 1 }), { ...report(3, { a: 1 }), name: "api" }];
    const before = new Map([web, api].map((service) => [service.name, service]));
    expect(changedReports(before, [structuredClone(web), structuredClone(api)])).toEqual([]);
    for (const changed of [
      report(4, { a: 1 }),
      report(3, { a: 2 }),
      report(3, { b: 1 }),
      report(3, { a: 1, b: 0 }),
      report(3, { a: 1 }, 2),
      { ...web, listeners: [{ address: "127.0.0.1:80", state: "failed" as const }] },
      { ...web, counters: { ...web.counters, responses: [0, 0, 2, 0, 1, 0] } },
    ])
      expect(changedReports(before, [changed, api])).toEqual([changed]);
    expect(changedReports(new Map(), [web])).toEqual([web]);
  });
});

describe("listeners", () => {
  const at = (state: ListenerStatus["state"]): ListenerStatus => ({ address: "127.0.0.1:80", state });
  it.each([
    ["bound", ["bound", "bound"]],
    ["bound", ["pending", "bound"]],
    ["failed", ["bound", "failed"]],
    ["pending", ["pending", "pending"]],
  ] as const)("are %s when the workers' are %j", (merged, states) => {
    expect(mergeListeners(states.map((state) => [at(state)]))).toEqual([at(merged)]);
  });

  it("are none without workers", () => expect(mergeListeners([])).toEqual([]));
});

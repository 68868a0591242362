import type { Entry, Instance } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { listenText } from "./claims.ts";
import { DISCOVERED, synapseConfig } from "./config.ts";
import { LISTENER_OUTLIVES_MS, NO_ROUTES, nextRoutes, type Routes, type WantedService } from "./routes.ts";
import { initialView, nextView, type ServiceView } from "./view.ts";

const PORTS = { from: 1_024, to: 65_535 };

function viewOf(instances: readonly Partial<Instance>[]): ServiceView {
  const entries = instances.map((more, index): Entry => {
    const instance = { host: "10.0.0.1", port: 8_000 + index, ...more };
    return { kind: "instance", id: `i${index}`, instance };
  });
  const input = { type: "batch", batch: [{ type: "reset", entries }] } as const;
  return nextView(initialView(0), input, { nowMs: 0, holdMs: 1, fallMs: 1 }).view;
}

function discovered(name: string, ...instances: Partial<Instance>[]): WantedService {
  return { name, fixed: false, proxy: DISCOVERED, defaultServers: [], view: viewOf(instances) };
}

function fixed(name: string, service: unknown, ...instances: Partial<Instance>[]): WantedService {
  const config = synapseConfig.parse({ services: { [name]: service } }).services[name];
  if (config === undefined) throw new Error("no such service");
  return { name, fixed: true, proxy: config.proxy, defaultServers: config.default_servers, view: viewOf(instances) };
}

function route(wanted: readonly WantedService[], previous: Routes = NO_ROUTES, nowMs = 0): Routes {
  return nextRoutes(wanted, PORTS, previous, nowMs);
}

/** `name -> addresses`, for what is served. */
function listening(routes: Routes): Record<string, string[]> {
  return Object.fromEntries(routes.specs.map((spec) => [spec.name, spec.listen.map(listenText)]));
}

const on = (port: number): string[] => [`127.0.0.1:${port}`, `[::1]:${port}`];

describe("nextRoutes", () => {
  it("serves a discovered service on loopback, on the port and in the mode it publishes", () => {
    const routes = route([discovered("web", { listen: 3_000, mode: "http" })]);
    expect(listening(routes)).toEqual({ web: on(3_000) });
    expect(routes.specs[0]?.mode).toBe("http");
    expect(routes.specs[0]?.backends).toMatchObject([
      { key: "i0", port: 8_000, weight: 1, state: "up", suspect: false },
    ]);
  });

  it("does not serve a service that publishes no port, and says so", () => {
    const routes = route([discovered("web", {})]);
    expect(routes.specs).toEqual([]);
    expect(routes.problems.get("web")).toEqual(["no instance says on which port to listen"]);
  });

  it("hands the limits of each client address on, where there are any", () => {
    const of = (proxy: object) =>
      route([fixed("web", { proxy: { listen: ["127.0.0.1:3000"], ...proxy } })]).specs[0]?.sources;
    expect(of({})).toBeUndefined();
    expect(of({ max_connections_per_source: 9 })).toEqual({ connectionsMax: 9 });
    expect(of({ rate_limit: { requests: 5 } })).toEqual({ rate: { requests: 5, perMs: 1_000, burst: 5 } });
  });

  it("refuses ports outside listen_ports", () => {
    const routes = route([discovered("web", { listen: 80 })]);
    expect(routes.specs).toEqual([]);
    expect(routes.problems.get("web")?.[0]).toContain("asks for port 80, outside listen_ports 1024-65535");
  });

  it("lets most instances decide on the port, and shows the losers", () => {
    const routes = route([discovered("web", { listen: 3_001 }, { listen: 3_000 }, { listen: 3_001 })]);
    expect(listening(routes)).toEqual({ web: on(3_001) });
    expect(routes.problems.get("web")).toEqual(["1 instance(s) ask for listen 3000; 3001 is used"]);
  });

  it("keeps what is applied in a tie, else takes the smallest", () => {
    const tie = [discovered("web", { listen: 3_001, mode: "tcp" }, { listen: 3_000, mode: "http" })];
    const fresh = route(tie);
    expect(listening(fresh)).toEqual({ web: on(3_000) });
    const kept = route(tie, route([discovered("web", { listen: 3_001, mode: "tcp" })]));
    expect(listening(kept)).toEqual({ web: on(3_001) });
    expect(kept.specs[0]?.mode).toBe("tcp");
  });

  it("gives a port to static config, then to its holder, then to the smallest name", () => {
    const a = discovered("a", { listen: 3_000 });
    const b = discovered("b", { listen: 3_000 });
    const z = fixed("z", { proxy: { listen: ["127.0.0.1:3000"] } });
    const held = route([b]);
    expect(listening(route([a, b]))).toEqual({ a: on(3_000) });
    const both = route([a, b], held);
    expect(listening(both)).toEqual({ b: on(3_000) });
    expect(both.problems.get("a")).toEqual([
      "127.0.0.1:3000 is taken by service b",
      "[::1]:3000 is taken by service b",
    ]);
    expect(listening(route([a, z], held))).toEqual({ a: ["[::1]:3000"], z: ["127.0.0.1:3000"] });
  });

  it("takes a wildcard for every address of its port", () => {
    const wild = fixed("wild", { proxy: { listen: ["0.0.0.0:3000"] } });
    expect(listening(route([discovered("a", { listen: 3_000 }), wild]))).toEqual({ wild: ["0.0.0.0:3000"] });
  });

  it("keeps a discovered listener for an hour after the last instance", () => {
    const first = route([discovered("web", { listen: 3_000, mode: "http" })]);
    const empty = [discovered("web")];
    const vacant = route(empty, first, 1_000);
    expect(listening(vacant)).toEqual({ web: on(3_000) });
    expect(vacant.specs[0]).toMatchObject({ mode: "http", backends: [] });
    const later = route(empty, vacant, 1_000 + LISTENER_OUTLIVES_MS - 1);
    expect(listening(later)).toEqual({ web: on(3_000) });
    expect(listening(route(empty, later, 1_000 + LISTENER_OUTLIVES_MS))).toEqual({});
  });

  it("gives a vacant listener's port to the next service that asks for it", () => {
    const held = route([discovered("a", { listen: 3_000 })]);
    const routes = route([discovered("a"), discovered("z", { listen: 3_000 })], held);
    expect(listening(routes)).toEqual({ z: on(3_000) });
  });

  it("keeps a static listener without an instance, for good", () => {
    const web = fixed("web", { proxy: { listen: ["127.0.0.1:3000"] } });
    expect(listening(route([web], NO_ROUTES, LISTENER_OUTLIVES_MS * 2))).toEqual({ web: ["127.0.0.1:3000"] });
  });

  it("uses default servers while discovery has nothing", () => {
    const service = {
      default_servers: [{ name: "one", host: "10.0.0.5", port: 80, weight: 2 }],
      proxy: { listen: ["127.0.0.1:3000"] },
    };
    const [empty] = route([fixed("web", service)]).specs;
    expect(empty?.backends).toMatchObject([{ key: "10.0.0.5:80", host: "10.0.0.5", port: 80, weight: 2, state: "up" }]);
    const [full] = route([fixed("web", service, { port: 8_080 })]).specs;
    expect(full?.backends).toMatchObject([{ key: "i0", port: 8_080 }]);
  });

  it("never routes udp, and says so", () => {
    const routes = route([discovered("dns", { listen: 5_353 }, { protocol: "udp", listen: 5_354 })]);
    expect(routes.specs[0]?.backends.map(({ key }) => key)).toEqual(["i0"]);
    expect(listening(routes)).toEqual({ dns: on(5_353) });
    expect(routes.problems.get("dns")).toEqual(["udp is not routed: i1"]);
  });

  it("keeps weight and state of an instance", () => {
    const [spec] = route([discovered("web", { listen: 3_000, weight: 0, state: "maintenance" })]).specs;
    expect(spec?.backends).toMatchObject([{ weight: 0, state: "maintenance" }]);
  });

  it("reads backup, id and maxconn from what an instance says to HAProxy, and limits from config", () => {
    const words = { haproxyServerOptions: "check inter 2s backup id 7 maxconn 10 maxqueue 5" };
    const limited = { proxy: { listen: ["127.0.0.1:3000"], limits: { max_requests: 8 } } };
    const [spec] = route([fixed("web", limited, words, {})]).specs;
    expect(spec?.limits).toEqual({ requestsMax: 8, queueMax: 1_024 });
    expect(route([fixed("web", limited, {})]).problems.get("web")?.[0]).toContain(
      "max_requests and adaptive are of mode http",
    );
    expect(route([fixed("web", limited, { mode: "http" })]).problems.get("web") ?? []).toEqual([]);
    expect(spec?.backends).toMatchObject([{ backup: true, id: 7, slots: 10 }, {}]);
    expect(spec?.backends[1]).not.toHaveProperty("slots");
  });

  it("is stale only after the grace of a quick reconnect", () => {
    const web = discovered("web", { listen: 3_000 });
    const { view } = nextView(
      web.view as ServiceView,
      { type: "unread", reason: "cut" },
      { nowMs: 5_000, holdMs: 1, fallMs: 1 },
    );
    expect(route([{ ...web, view }], NO_ROUTES, 5_999).specs[0]?.stale).toBe(false);
    expect(route([{ ...web, view }], NO_ROUTES, 6_000).specs[0]?.stale).toBe(true);
  });
});

import { loadConfig } from "@smartstack/core";
import { DEFAULT_CHECK, DEFAULT_OUTLIER, DEFAULT_TIMEOUTS } from "@smartstack/proxy";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type SynapseConfig, synapseConfig } from "./config.ts";
import { discoveredNames } from "./discover.ts";

function load(text: string): { value: SynapseConfig; warnings: readonly string[] } {
  return loadConfig({ file: "synapse.yaml", text, env: {} }, synapseConfig);
}

function service(body: string): NonNullable<SynapseConfig["services"][string]> {
  const web = load(`services:\n  web:\n${body.replace(/^/gm, "    ")}\n`).value.services.web;
  if (web === undefined) throw new Error("no service");
  return web;
}

const LOOPBACK_3000 = [
  { host: "127.0.0.1", port: 3_000 },
  { host: "::1", port: 3_000 },
];

describe("synapseConfig", () => {
  it("has the documented defaults", () => {
    expect(load("").value).toEqual({
      services: {},
      listen_ports: { from: 1_024, to: 65_535 },
      hold: 300_000,
      shed: 1_000,
      shutdown_grace: 8_000,
      stop_accepting: "after_drain",
      worker_drain: 43_200_000,
    });
  });

  it("reads a number of workers, or auto", () => {
    expect(load("workers: 2").value.workers).toBe(2);
    expect(load("workers: auto").value.workers).toBe("auto");
  });

  it("reads off and lists for discover", () => {
    expect(load("discover: off").value.discover).toEqual([]);
    expect(load('discover: "*"').value.discover).toEqual(["*"]);
    expect(load("discover: [web, api-*]").value.discover).toEqual(["web", "api-*"]);
  });

  it("reads off and a folder for cache", () => {
    expect(load("cache: off").value.cache).toBeUndefined();
    expect(load("cache: /var/lib/smartstack").value.cache).toBe("/var/lib/smartstack");
  });

  it.each([
    ["[127.0.0.1:3000]", [{ host: "127.0.0.1", port: 3_000 }]],
    ['["[::1]:3000"]', [{ host: "::1", port: 3_000 }]],
    [
      "3000",
      [
        { host: "127.0.0.1", port: 3_000 },
        { host: "::1", port: 3_000 },
      ],
    ],
    [
      "localhost:3000",
      [
        { host: "127.0.0.1", port: 3_000 },
        { host: "::1", port: 3_000 },
      ],
    ],
    ["[3000, '127.0.0.1:3001']", [...LOOPBACK_3000, { host: "127.0.0.1", port: 3_001 }]],
    ["[unix:/run/web.sock]", [{ path: "/run/web.sock" }]],
  ])("reads listen: %s", (text, expected) => {
    expect(service(`proxy: {listen: ${text}}`).proxy.listen).toEqual(expected);
  });

  it.each(["web.example:3000", "127.0.0.1", "127.0.0.1:70000", "[127.0.0.1]:80", "unix:"])(
    "refuses listen: %s with what was expected",
    (text) => {
      expect(() => service(`proxy: {listen: ["${text}"]}`)).toThrow(/synapse.yaml:3:\d+: .*expected "127.0.0.1:3000"/);
    },
  );

  it("reads a single port and a range for listen_ports", () => {
    expect(load("listen_ports: 8080").value.listen_ports).toEqual({ from: 8_080, to: 8_080 });
    expect(load("listen_ports: 3000-3999").value.listen_ports).toEqual({ from: 3_000, to: 3_999 });
  });

  it("can be written down as a JSON Schema", () => {
    const schema = z.toJSONSchema(synapseConfig, { io: "input" });
    expect(Object.keys(schema.properties ?? {})).toContain("services");
  });

  it("reads a whole service", () => {
    const web = service(
      [
        "discovery: {method: base}",
        "default_servers: [{name: a, host: 10.0.0.1, port: 80}]",
        "proxy:",
        "  listen: [127.0.0.1:3000]",
        "  mode: http",
        "  balance: least_conn",
        "  check: {type: http, when: always, interval: 500ms, path: /ping, status: [200, 300-308], expect: pong, down_interval: 9}",
        "  timeouts: {connect: 250ms, server: 2}",
        "  host: backend",
      ].join("\n"),
    );
    expect(web).toEqual({
      discovery: { method: "base" },
      default_servers: [{ name: "a", host: "10.0.0.1", port: 80, weight: 1, backup: false }],
      proxy: {
        listen: [{ host: "127.0.0.1", port: 3_000 }],
        mode: "http",
        balance: { algorithm: "least_conn" },
        slow_start: 0,
        zone_first: true,
        backups: "first",
        subsets: {},
        check: {
          ...DEFAULT_CHECK,
          type: "http",
          when: "always",
          intervalMs: 500,
          downIntervalMs: 9_000,
          path: "/ping",
          status: [
            [200, 200],
            [300, 308],
          ],
          expect: "pong",
        },
        timeouts: { ...DEFAULT_TIMEOUTS, connectMs: 250, serverMs: 2_000 },
        max_connections: 16_384,
        panic: 0,
        retry_budget: { ratio: 0.2, min_per_second: 10 },
        host: "backend",
        tell_reasons: true,
        accept_proxy: false,
      },
    });
  });

  it("takes unix sockets as servers, and the PROXY protocol on either side", () => {
    const text =
      "{discovery: {method: base}, default_servers: [{host: unix:/run/a.sock}], proxy: {accept_proxy: yes, send_proxy: v2}}";
    expect(service(text)).toMatchObject({
      default_servers: [{ host: "unix:/run/a.sock", port: 0 }],
      proxy: { accept_proxy: true, send_proxy: "v2" },
    });
    expect(() => service("default_servers: [{host: unix:/run/a.sock, port: 1}]")).toThrow(/has no port/);
    expect(() => service("default_servers: [{host: 10.0.0.1}]")).toThrow(/expected a port/);
  });

  it("takes rules for outliers, or none", () => {
    const rules = (text: string) => service(`{proxy: {outlier: ${text}}}`).proxy.outlier;
    expect(rules("{}")).toEqual(DEFAULT_OUTLIER);
    expect(rules("on")).toEqual(DEFAULT_OUTLIER);
    expect(rules("off")).toBeUndefined();
    expect(rules("{failures: 20%, eject: 1s, max_out: 10, slower: 4}")).toEqual({
      ...DEFAULT_OUTLIER,
      ...{ failureRatio: 0.2, ejectMs: 1_000, outPercentMax: 10, latencyFactor: 4 },
    });
    for (const wrong of ["maybe", "{consecutive: 0}", "{max_out: 101}"])
      expect(() => rules(wrong), wrong).toThrow(/outlier/);
  });

  it("takes limits of each backend, and how long a client waits for room", () => {
    const limits = (text: string) => service(`{proxy: {limits: ${text}}}`).proxy.limits;
    expect(service("{}").proxy.limits).toBeUndefined();
    expect(limits("{max_requests: 8}")).toEqual({ requestsMax: 8, queueMax: 1_024 });
    expect(limits("{max_connections: 9, queue: 0}")).toEqual({ connectionsMax: 9, queueMax: 0 });
    expect(limits("{adaptive: on}")).toEqual({ adaptive: { min: 3, max: 1_000 }, queueMax: 1_024 });
    expect(limits("{adaptive: {max: 40}}")?.adaptive).toEqual({ min: 3, max: 40 });
    expect(limits("{adaptive: off}")).toEqual({ queueMax: 1_024 });
    expect(() => service("{proxy: {mode: tcp, limits: {adaptive: on}}}")).toThrow(/tcp knows no requests/);
    for (const wrong of ["{adaptive: maybe}", "{adaptive: {min: 5, max: 4}}", "{max_requests: 0}", "{queue: -1}"])
      expect(() => limits(wrong), wrong).toThrow(/limits/);
    expect(() => service("{proxy: {mode: tcp, limits: {max_requests: 1}}}")).toThrow(/tcp knows no requests/);
    expect(service("{proxy: {timeouts: {queue: 250ms}}}").proxy.timeouts.queueMs).toBe(250);
    const server = "{host: 10.0.0.1, port: 80, max_connections: 3}";
    expect(service(`{discovery: {method: base}, default_servers: [${server}]}`).default_servers[0]).toMatchObject({
      max_connections: 3,
    });
  });

  it("takes limits of each client address", () => {
    const rate = (text: string) => service(`{proxy: {rate_limit: ${text}}}`).proxy.rate_limit;
    expect(service("{}").proxy.rate_limit).toBeUndefined();
    expect(rate("{requests: 100}")).toEqual({ requests: 100, perMs: 1_000, burst: 100 });
    expect(rate("{requests: 6, per: 1m, burst: 20}")).toEqual({ requests: 6, perMs: 60_000, burst: 20 });
    expect(service("{proxy: {max_connections_per_source: 20}}").proxy.max_connections_per_source).toBe(20);
    for (const wrong of ["{}", "{requests: 0}", "{requests: 1, per: 0}", "{requests: 1, burst: 0}"])
      expect(() => rate(wrong), wrong).toThrow(/rate_limit/);
    expect(() => service("{proxy: {max_connections_per_source: 0}}")).toThrow(/max_connections_per_source/);
  });

  it("takes an agent to ask", () => {
    const agent = (text: string) => service(`{proxy: {agent: ${text}}}`).proxy.agent;
    expect(agent("{port: 8081}")).toEqual({ port: 8_081, intervalMs: 2_000, timeoutMs: 1_000 });
    expect(agent('{port: 8081, host: 10.0.0.9, interval: 500ms, send: "state\\n"}')).toEqual({
      ...{ port: 8_081, host: "10.0.0.9", intervalMs: 500, timeoutMs: 1_000, send: "state\n" },
    });
    for (const wrong of ["{}", "{port: 0}", "{port: 1, interval: 1ms}"])
      expect(() => agent(wrong), wrong).toThrow(/agent/);
  });

  it("takes when a process that lags behind turns clients away", () => {
    const lagMs = (text: string) => load(text).value.shed;
    expect(lagMs("{}")).toBe(1_000);
    expect(lagMs("shed: on")).toBe(1_000);
    expect(lagMs("shed: off")).toBeUndefined();
    expect(lagMs("shed: {lag: 250ms}")).toBe(250);
    for (const wrong of ["shed: maybe", "shed: {lag: 1ms}"]) expect(() => load(wrong), wrong).toThrow(/shed/);
  });

  it("takes a budget for retries", () => {
    const budget = (text: string) => service(`{proxy: {retry_budget: ${text}}}`).proxy.retry_budget;
    expect(budget("{ratio: 0.05, min_per_second: 2}")).toEqual({ ratio: 0.05, min_per_second: 2 });
    expect(budget("{ratio: 0}")).toEqual({ ratio: 0, min_per_second: 10 });
    expect(() => budget("{ratio: -1}")).toThrow(/ratio/);
    expect(() => budget("{min_per_second: many}")).toThrow(/min_per_second/);
  });

  it("takes what backends are told of a request's origin", () => {
    const asked =
      "{x_forwarded: [host], forwarded: yes, via: edge, request_id: X-Id, trusted_proxies: [10.0.0.0/8, '::1']}";
    expect(service(`{proxy: {origin: ${asked}}}`).proxy.origin).toEqual({
      xForwarded: { for: false, proto: false, host: true },
      forwarded: true,
      via: "edge",
      requestId: "X-Id",
      trusted: ["10.0.0.0/8", "::1"],
    });
    for (const wrong of ["10.0.0.0/33", "10.0.0.0/8/8", "here", "::1/129"])
      expect(() => service(`{proxy: {origin: {trusted_proxies: ["${wrong}"]}}}`)).toThrow(
        /expected an address or a net/,
      );
  });

  it("takes any registry as a method, with the registry's own keys", () => {
    expect(service("{}").discovery).toEqual({ method: "registry" });
    expect(service("discovery: {method: memory}").discovery).toEqual({ method: "own", registry: { type: "memory" } });
  });

  it("reads nerve's own nodes where the original synapse's zookeeper method names a path", () => {
    const theirs = "discovery: {method: zookeeper, path: /services/web, hosts: [localhost:2181]}";
    expect(service(theirs).discovery).toMatchObject({
      method: "own",
      registry: { type: "zookeeper-nerve", path: "/services/web", hosts: ["localhost:2181"] },
    });
    expect(load(`services: {web: {${theirs}}}`).warnings).toEqual([]);
    const ours = service("discovery: {method: zookeeper, prefix: /services, hosts: [localhost:2181]}").discovery;
    expect(ours).toMatchObject({ method: "own", registry: { type: "zookeeper", prefix: "/services" } });
  });

  it("warns of unknown keys with a did-you-mean", () => {
    expect(load("services: {web: {proxy: {lisen: [3000]}}}").warnings[0]).toMatch(
      /unknown key lisen.*did you mean listen\?/,
    );
  });

  it.each([
    ["services: {'-web': {}}", /service name "-web" must be/],
    ["services: {web: {discovery: {method: carrier_pigeon}}}", /method/],
    ["services: {web: {proxy: {balance: fastest}}}", /round_robin/],
    ["listen_ports: 80-20", /range of ports/],
    ["hold: soon", /expected a time/],
    ["services: {web: {proxy: {check: {type: tcp, expect: well}}}}", /expect: is asked over HTTP only: set type: http/],
    ["services: {web: {proxy: {check: {type: http, status: 99}}}}", /a status such as 200/],
    ["workers: 0", /workers: /],
    ["workers: many", /workers: /],
  ])("refuses %s", (text, expected) => {
    expect(() => load(text)).toThrow(expected);
  });
});

describe("discoveredNames", () => {
  it("takes globs literally but for * and ?", () => {
    const names = ["web", "web.v2", "api-1", "api-12", "webXv2"];
    expect(discoveredNames(["*"], names)).toEqual([...names].sort());
    expect(discoveredNames(["web.v2"], names)).toEqual(["web.v2"]);
    expect(discoveredNames(["api-?", "web"], names)).toEqual(["api-1", "web"]);
    expect(discoveredNames([], names)).toEqual([]);
  });
});

import { expect, test } from "vitest";
import { containerFacts, type InspectJson, parsePortKey } from "./containers.ts";

const INSPECT: InspectJson = {
  Id: "c07369a07e473afc48b974b98ef4faccd1990751842fccbdd219f3cc7387a017",
  Name: "/shop_web_1",
  State: {
    Status: "running",
    Running: true,
    Paused: false,
    Restarting: false,
    Dead: false,
    StartedAt: "2026-11-22T19:14:20.301112729Z",
    Health: { Status: "starting" },
  },
  Config: {
    Image: "shop/web:1",
    Labels: { a: "b" },
    StopSignal: "SIGQUIT",
    StopTimeout: 3,
    ExposedPorts: { "443/tcp": {}, "80/tcp": {}, "53/udp": {}, "9/sctp": {} },
  },
  HostConfig: { NetworkMode: "shop_default" },
  NetworkSettings: {
    Ports: {
      "80/tcp": [
        { HostIp: "0.0.0.0", HostPort: "32768" },
        { HostIp: "::", HostPort: "32769" },
      ],
      "443/tcp": null,
    },
    Networks: {
      shop_default: { NetworkID: "n2", IPAddress: "172.18.0.2" },
      bridge: { NetworkID: "n1", IPAddress: "", GlobalIPv6Address: "fd00::2" },
    },
  },
};

test("what matters of an inspect", () => {
  const facts = containerFacts(INSPECT);
  expect(facts).toMatchObject({
    name: "shop_web_1",
    image: "shop/web:1",
    running: true,
    health: "starting",
    stopSignal: 3,
    stopTimeoutMs: 3_000,
  });
  expect(facts.ports.map(({ port, protocol }) => `${port}/${protocol}`)).toEqual(["53/udp", "80/tcp", "443/tcp"]);
  expect(facts.published.map(({ hostIp, hostPort }) => [hostIp, hostPort])).toEqual([
    ["0.0.0.0", 32768],
    ["::", 32769],
  ]);
  expect(facts.networks).toEqual([
    { name: "bridge", id: "n1", ip: undefined, ip6: "fd00::2", prefix: undefined },
    { name: "shop_default", id: "n2", ip: "172.18.0.2", ip6: undefined, prefix: undefined },
  ]);
});

test.each([
  [
    "the last run",
    [
      { ExitCode: 0, Output: "fine" },
      { ExitCode: 1, Output: "status\n\u001b[31m503\n" },
    ],
    "exit code 1: status [31m503",
  ],
  ["one that said nothing", [{ ExitCode: 0, Output: "" }], "exit code 0"],
  [
    "one that took too long",
    [{ ExitCode: -1, Output: "Health check exceeded timeout (1s)" }],
    "exit code -1: Health check exceeded timeout (1s)",
  ],
  ["no run yet", [], undefined],
  ["none", null, undefined],
])("what its HEALTHCHECK gave: %s", (_, Log, expected) => {
  expect(containerFacts({ State: { Health: { Status: "unhealthy", Log } } }).healthOutput).toBe(expected);
});

test("what a HEALTHCHECK writes is bounded", () => {
  const Log = [{ ExitCode: 1, Output: "x".repeat(4_096) }];
  expect(containerFacts({ State: { Health: { Status: "unhealthy", Log } } }).healthOutput).toHaveLength(1_024);
});

test.each([
  [{ Running: true, Paused: true }],
  [{ Running: true, Restarting: true }],
  [{ Running: true, Dead: true }],
  [{ Running: false }],
  [{}],
])("%j does not run", (state) => {
  expect(containerFacts({ ...INSPECT, State: state }).running).toBe(false);
});

test("an answer with nothing in it harms nobody", () => {
  expect(containerFacts({})).toMatchObject({ running: false, stopSignal: 15, stopTimeoutMs: 10_000, ports: [] });
  expect(
    containerFacts({
      Config: { Labels: null, StopSignal: null, ExposedPorts: null },
      NetworkSettings: { Ports: null },
    }),
  ).toMatchObject({ labels: {} });
});

test("waits for ever: never taken for alive after its stop signal within the day", () => {
  expect(containerFacts({ ...INSPECT, Config: { StopTimeout: -1 } }).stopTimeoutMs).toBe(86_400_000);
});

test.each([
  ["80", { port: 80, protocol: "tcp" }],
  ["53/UDP", { port: 53, protocol: "udp" }],
  ["0", undefined],
  ["65536", undefined],
  ["80/sctp", undefined],
  ["http", undefined],
])("port %s", (text, key) => {
  expect(parsePortKey(text)).toEqual(key);
});

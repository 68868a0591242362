import { describe, expect, test } from "vitest";
import type { PortKey } from "./containers.ts";
import { type LabelsInput, readLabels } from "./labels.ts";

const TCP80: PortKey = { port: 80, protocol: "tcp" };
const TCP443: PortKey = { port: 443, protocol: "tcp" };
const UDP53: PortKey = { port: 53, protocol: "udp" };

function read(labels: Record<string, string>, more: Partial<LabelsInput> = {}) {
  return readLabels({ labels, ports: [TCP80], image: "shop/web:1", compose: false, exposeByDefault: false, ...more });
}

describe("which services", () => {
  test("no label, no service; and why", () => {
    expect(read({})).toMatchObject({ services: [], refusals: [], ignored: "no smartstack labels" });
    expect(read({ "smartstack.port": "80" })).toMatchObject({ services: [], ignored: "no label smartstack.service" });
  });

  test("the only port is the port", () => {
    expect(read({ "smartstack.service": "web" }).services).toMatchObject([{ service: "web", port: TCP80 }]);
    expect(read({ "smartstack.service": "web" }, { ports: [TCP80, UDP53] }).services).toMatchObject([{ port: TCP80 }]);
  });

  test("several ports, or none, are refused, listing them", () => {
    expect(read({ "smartstack.service": "web" }, { ports: [TCP80, TCP443] }).refusals[0]).toMatch(/80\/tcp, 443\/tcp/);
    expect(read({ "smartstack.service": "web" }, { ports: [UDP53] }).refusals[0]).toMatch(/exposes no TCP port/);
  });

  test("smartstack.port decides, exposed or not", () => {
    const labels = { "smartstack.service": "web", "smartstack.port": "8080" };
    expect(read(labels, { ports: [TCP80, TCP443] }).services).toMatchObject([{ port: { port: 8080 } }]);
  });

  test("one container, several services, each with its own words", () => {
    const { services, warnings } = read(
      {
        "smartstack.80.service": "web",
        "smartstack.80.listen": "3000",
        "smartstack.443.service": "web-tls",
        "smartstack.53/udp.service": "dns",
        "smartstack.weight": "5",
        "smartstack.443.weight": "7",
        "smartstack.meta.team": "shop",
        "smartstack.443.meta.team": "edge",
      },
      { ports: [TCP80, TCP443, UDP53] },
    );
    expect(services).toMatchObject([
      { service: "dns", port: UDP53, weight: 5, listen: undefined },
      { service: "web", port: TCP80, weight: 5, listen: 3000, meta: { team: "shop" } },
      { service: "web-tls", port: TCP443, weight: 7, meta: { team: "edge" } },
    ]);
    expect(warnings).toEqual([]);
  });

  test("an empty value counts as absent", () => {
    expect(read({ "smartstack.service": " ", "smartstack.weight": "" }).ignored).toBe("no smartstack labels");
  });

  test.each(["1", "true", "Yes"])("ignore=%s", (value) => {
    expect(read({ "smartstack.service": "web", "smartstack.ignore": value })).toMatchObject({
      services: [],
      ignored: "smartstack.ignore is set",
    });
  });

  test("ignore=false ignores nothing", () => {
    expect(read({ "smartstack.service": "web", "smartstack.ignore": "false" }).services).toHaveLength(1);
  });
});

describe("names from elsewhere", () => {
  const compose = { "com.docker.compose.service": "api", "com.docker.compose.oneoff": "False" };

  test("compose's, when switched on and opted in by smartstack.port", () => {
    expect(read({ ...compose, "smartstack.port": "80" }, { compose: true }).services).toMatchObject([
      { service: "api" },
    ]);
    expect(read({ ...compose }, { compose: true }).services).toEqual([]);
    expect(read({ ...compose, "smartstack.port": "80" }).services).toEqual([]);
    expect(
      read({ ...compose, "com.docker.compose.oneoff": "True", "smartstack.port": "80" }, { compose: true }).services,
    ).toEqual([]);
    expect(
      read({ ...compose, "smartstack.port": "80", "smartstack.service": "own" }, { compose: true }).services,
    ).toMatchObject([{ service: "own" }]);
  });

  test("expose_by_default takes what exposes exactly one TCP port", () => {
    const all = { exposeByDefault: true };
    expect(read({}, { ...all, image: "reg.local:5000/team/web:1.2@sha256:abc" }).services).toMatchObject([
      { service: "web" },
    ]);
    expect(read(compose, all).services).toMatchObject([{ service: "api" }]);
    expect(read({}, { ...all, ports: [TCP80, TCP443] }).services).toEqual([]);
    expect(read({}, { ...all, ports: [] }).services).toEqual([]);
  });
});

describe("bad input", () => {
  test.each([
    ["service", "-web-", /service name "-web-"/],
    ["service", "a b", /service name/],
    ["port", "http", /smartstack.port=http: expected a port/],
    ["listen", "70000", /smartstack.listen=70000: expected a port/],
    ["mode", "grpc", /smartstack.mode=grpc: expected one of tcp, http/],
    ["check", "http://evil/health", /smartstack.check=http:\/\/evil\/health/],
    ["check", "tcp:10.0.0.1:80", /expected docker, tcp/],
    ["check", "exec:/bin/true", /expected docker, tcp/],
    ["check", "exec", /expected docker, tcp/],
    ["check", '{"type":"exec","command":["/bin/true"]}', /expected docker, tcp/],
    ["check.interval", "soon", /expected a time/],
    ["check.interval", "1ms", /from 100ms/],
    ["check.rise", "0", /whole number from 1 to 100/],
    ["weight", "257", /from 0 to 256/],
    ["address", "10.0.0.1", /expected one of auto, host, container/],
  ])("%s=%s", (key, value, reason) => {
    const verdict = read({ "smartstack.service": "web", [`smartstack.${key}`]: value });
    expect(verdict.services).toEqual([]);
    expect(verdict.refusals).toHaveLength(1);
    expect(verdict.refusals[0]).toMatch(reason);
  });

  test("a bad value for one port leaves the others", () => {
    const { services, refusals } = read({
      "smartstack.80.service": "web",
      "smartstack.443.service": "tls",
      "smartstack.443.weight": "x",
    });
    expect(services).toMatchObject([{ service: "web" }]);
    expect(refusals[0]).toMatch(/smartstack.443.weight=x/);
  });

  test("an unknown key is a warning, with what was meant", () => {
    expect(
      read({ "smartstack.service": "web", "smartstack.chekc": "tcp", "smartstack.80.lisen": "1" }).warnings,
    ).toEqual([
      "unknown label smartstack.80.lisen, did you mean smartstack.80.listen?",
      "unknown label smartstack.chekc, did you mean smartstack.check?",
    ]);
  });

  test("a label for a port that is not registered says so", () => {
    expect(read({ "smartstack.service": "web", "smartstack.81.weight": "3" }).warnings).toEqual([
      "label smartstack.81.weight has no effect: that port is not registered",
    ]);
  });
});

test.each([
  ["tcp", { type: "tcp", port: undefined, path: undefined }],
  ["tcp:81", { type: "tcp", port: 81, path: undefined }],
  ["http", { type: "http", port: undefined, path: undefined }],
  ["http:/health?x=1", { type: "http", port: undefined, path: "/health?x=1" }],
  ["http:8081/health", { type: "http", port: 8081, path: "/health" }],
  ["docker", { type: "docker" }],
  ["none", { type: "none" }],
])("check %s", (value, check) => {
  expect(read({ "smartstack.service": "web", "smartstack.check": value }).services[0]?.check).toMatchObject(check);
});

test("every other key", () => {
  const { services } = read({
    "smartstack.service": "web",
    "smartstack.mode": "http",
    "smartstack.check.interval": "500ms",
    "smartstack.check.timeout": "2",
    "smartstack.check.rise": "2",
    "smartstack.check.fall": "3",
    "smartstack.network": "backend",
    "smartstack.address": "container",
    "smartstack.zone": "a",
  });
  expect(services[0]).toMatchObject({
    mode: "http",
    intervalMs: 500,
    timeoutMs: 2_000,
    rise: 2,
    fall: 3,
    network: "backend",
    address: "container",
    zone: "a",
  });
});

import { describe, expect, test } from "vitest";
import type { PortKey } from "./containers.ts";
import type { Conventional } from "./conventions/convention.ts";
import { type LabelRules, readLabels } from "./labels.ts";

const TCP80: PortKey = { port: 80, protocol: "tcp" };
const TCP443: PortKey = { port: 443, protocol: "tcp" };
const UDP53: PortKey = { port: 53, protocol: "udp" };

function read(labels: Record<string, string>, more: Partial<Conventional> = {}, rules: Partial<LabelRules> = {}) {
  return readLabels(
    { labels, env: {}, ports: [TCP80], published: [], image: "shop/web:1", ...more },
    { conventions: [], exposeByDefault: false, ...rules },
  );
}

describe("which services", () => {
  test("no label, no service; and why", () => {
    expect(read({})).toMatchObject({
      services: [],
      refusals: [],
      ignored: "no smartstack.service label, and no convention names it",
    });
    expect(read({ "smartstack.port": "80" })).toMatchObject({
      services: [],
      ignored: "no smartstack.service label, and no convention names it",
    });
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
    expect(read({ "smartstack.service": " ", "smartstack.weight": "" }).ignored).toBe(
      "no smartstack.service label, and no convention names it",
    );
  });

  test.each(["1", "true", "Yes"])("ignore=%s", (value) => {
    expect(read({ "smartstack.service": "web", "smartstack.ignore": value })).toMatchObject({
      services: [],
      ignored: "smartstack.ignore is set",
    });
  });

  test("ignore=false ignores nothing", () => {
    expect(read({ "smartstack.service": "web", "smartstack.ignore": "false" }).services).toHaveLength(1);
    expect(read({ "smartstack.service": "web", "smartstack.80.ignore": "0" }).services).toHaveLength(1);
  });

  test("one port is ignored: the others are as if it was not there", () => {
    const two = { ports: [TCP80, TCP443] };
    const only = read({ "smartstack.service": "web", "smartstack.443.ignore": "true" }, two);
    expect(only).toMatchObject({ services: [{ service: "web", port: TCP80 }], refusals: [], warnings: [] });
    const named = { "smartstack.80.service": "web", "smartstack.443.service": "tls", "smartstack.443/tcp.ignore": "1" };
    expect(read(named, two)).toMatchObject({ services: [{ service: "web" }], refusals: [], warnings: [] });
    expect(read({ "smartstack.443.ignore": "1" }, two, { exposeByDefault: true }).services).toHaveLength(1);
  });

  test("an ignore that says neither yes nor no registers nothing of what it is about", () => {
    const all = read({ "smartstack.service": "web", "smartstack.ignore": "maybe" });
    expect(all.services).toEqual([]);
    expect(all.refusals).toEqual(["label smartstack.ignore=maybe: expected true or false"]);
    const one = read({ "smartstack.80.service": "web", "smartstack.443.service": "tls", "smartstack.443.ignore": "?" });
    expect(one.services).toMatchObject([{ service: "web" }]);
    expect(one.refusals).toEqual(["label smartstack.443.ignore=?: expected true or false"]);
  });
});

describe("expose_by_default", () => {
  const all = { exposeByDefault: true };

  test("takes what exposes exactly one TCP port, by its compose service or its image", () => {
    expect(read({}, { image: "reg.local:5000/team/web:1.2@sha256:abc" }, all).services).toMatchObject([
      { service: "web", port: TCP80 },
    ]);
    expect(read({ "com.docker.compose.service": "api" }, {}, all).services).toMatchObject([{ service: "api" }]);
    expect(read({}, { ports: [TCP80, UDP53] }, all).services).toMatchObject([{ port: TCP80 }]);
    expect(read({}, { ports: [TCP80, TCP443] }, all).ignored).toMatch(/it exposes 2 TCP ports, .* takes exactly one/);
    expect(read({}, { ports: [] }, all).services).toEqual([]);
  });

  test("leaves alone what asks for it, what compose runs once, and what has no name", () => {
    expect(read({ "smartstack.ignore": "1" }, {}, all).services).toEqual([]);
    expect(read({ "com.docker.compose.oneoff": "True" }, {}, all).services).toEqual([]);
    expect(read({}, { image: `sha256:${"ab".repeat(32)}` }, all).services).toEqual([]);
    expect(read({ SERVICE_IGNORE: "1" }, {}, { ...all, conventions: ["registrator"] })).toMatchObject({
      services: [],
      ignored: "SERVICE_IGNORE is set",
    });
  });

  test("a name that is no service's name is refused, not mangled", () => {
    expect(read({}, { image: "team/_web_" }, all).refusals[0]).toMatch(/^image team\/_web_: expected a service name/);
  });
});

describe("bad input", () => {
  test.each([
    ["service", "-web-", /smartstack.service=-web-: expected a service name/],
    ["service", "a b", /expected a service name/],
    ["port", "http", /smartstack.port=http: expected a port/],
    ["listen", "70000", /smartstack.listen=70000: expected a port/],
    ["mode", "grpc", /smartstack.mode=grpc: expected one of tcp, http/],
    ["check", "http://evil/health", /smartstack.check=http:\/\/evil\/health/],
    ["check", "tcp:10.0.0.1:80", /expected docker, tcp/],
    ["check", "exec:/bin/true", /expected docker, tcp/],
    ["check", "https://evil/health", /expected docker, tcp/],
    ["check", "grpc:/shop.Cart", /expected docker, tcp/],
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

  test("a port without a name of its own, where only others have one", () => {
    const { services, refusals } = read({ "smartstack.port": "81", "smartstack.80.service": "web" });
    expect(services).toMatchObject([{ service: "web" }]);
    expect(refusals).toEqual(["port 81/tcp has no name: set smartstack.service or smartstack.81.service"]);
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
    expect(read({ "smartstack.service": "web", "smartstack.80.port": "81" }).warnings).toEqual([
      "label smartstack.80.port has no effect: its key names the port",
    ]);
  });
});

test.each([
  ["tcp", { type: "tcp", port: undefined, path: undefined }],
  ["tcp:81", { type: "tcp", port: 81, path: undefined }],
  ["http", { type: "http", port: undefined, path: undefined }],
  ["http:/health?x=1", { type: "http", port: undefined, path: "/health?x=1" }],
  ["http:8081/health", { type: "http", port: 8081, path: "/health" }],
  ["https:/health", { type: "https", port: undefined, path: "/health" }],
  ["grpc", { type: "grpc", port: undefined, path: undefined }],
  ["grpc:9090", { type: "grpc", port: 9090, path: undefined }],
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

describe("who named it, for people", () => {
  const nginx: LabelRules = { conventions: ["nginx-proxy", "registrator"], exposeByDefault: false };
  test.each([
    [{ "smartstack.service": "web" }, {}, "label smartstack.service=web; port 80/tcp: its only TCP port"],
    [
      { "smartstack.service": "web", "smartstack.port": "81" },
      {},
      "label smartstack.service=web; port 81/tcp: label smartstack.port=81",
    ],
    [{ "smartstack.80.service": "web" }, {}, "label smartstack.80.service=web"],
    [{ SERVICE_NAME: "web" }, nginx, "label SERVICE_NAME=web (registrator)"],
    [{ VIRTUAL_HOST: "web" }, nginx, "label VIRTUAL_HOST=web (nginx-proxy); port 80/tcp: nginx-proxy's default port"],
    [{}, { exposeByDefault: true }, "image shop/web:1 (docker.expose_by_default); port 80/tcp: its only TCP port"],
  ])("%j", (labels: Record<string, string>, rules, namedBy) => {
    expect(read(labels, {}, rules).services[0]?.namedBy).toBe(namedBy);
  });

  test("what it asks for is known, registered or not", () => {
    const two = { ports: [TCP80, TCP443] };
    expect(read({ "smartstack.service": "web" }).asks).toEqual(["web"]);
    expect(read({ "smartstack.service": "web" }, two)).toMatchObject({ services: [], asks: ["web"] });
    expect(read({ "smartstack.service": "web", "smartstack.ignore": "1" }).asks).toEqual(["web"]);
    expect(read({ "smartstack.80.service": "a", "smartstack.443.service": "b" }, two).asks).toEqual(["a", "b"]);
    expect(read({ SERVICE_NAME: "web" }, two, nginx).asks).toEqual(["web-80", "web-443"]);
    expect(read({ "smartstack.service": "no name!" }).asks).toEqual([]);
    expect(read({}).asks).toEqual([]);
  });
});

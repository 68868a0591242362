import { describe, expect, test } from "vitest";
import { containerFacts, parsePortKey } from "../containers.ts";
import { readLabels } from "../labels.ts";
import type { Conventional } from "./convention.ts";
import { CONVENTION_NAMES, type ConventionName, envFilter } from "./index.ts";
import { splitTags } from "./registrator.ts";

interface Shape {
  readonly labels?: Record<string, string>;
  readonly env?: Record<string, string>;
  /** Exposed; one with a `!` is published too. */
  readonly ports?: readonly string[];
  readonly image?: string;
}

function container({ labels = {}, env = {}, ports = ["80!"], image = "team/app:2" }: Shape): Conventional {
  const keys = ports.map((text) => parsePortKey(text.replace("!", "")) ?? { port: 0, protocol: "tcp" as const });
  const published = keys
    .filter((_, at) => ports[at]?.endsWith("!"))
    .map((key, at) => ({ ...key, hostIp: "", hostPort: 32_768 + at }));
  return { labels, env, ports: keys, published, image };
}

function read(shape: Shape, ...conventions: ConventionName[]) {
  return readLabels(container(shape), { conventions, exposeByDefault: false });
}

/** `name port/protocol` of each service. */
function names(shape: Shape, ...conventions: ConventionName[]): string[] {
  const { services } = read(shape, ...conventions);
  return services.map(({ service, port }) => `${service} ${port.port}/${port.protocol}`);
}

describe("every convention", () => {
  test.each(CONVENTION_NAMES)("%s: names nothing that says nothing to it", (name) => {
    const { services, refusals, warnings } = read({ ports: ["80", "81"] }, name);
    expect([services, refusals, warnings]).toEqual([[], [], []]);
  });

  test.each(CONVENTION_NAMES)("%s: switched off, its words are nothing", (name) => {
    const labels = {
      SERVICE_NAME: "a",
      VIRTUAL_HOST: "a.example",
      "com.docker.compose.service": "a",
      "smartstack.port": "80",
    };
    const others = CONVENTION_NAMES.filter((other) => other !== name && other !== "docker-register");
    const all = names({ labels }, ...CONVENTION_NAMES);
    expect(all).toHaveLength(1);
    expect(names({ labels }, ...others)).toHaveLength(1);
    expect(read({ labels })).toMatchObject({
      services: [],
      ignored: "no smartstack.service label, and no convention names it",
    });
  });

  test.each(CONVENTION_NAMES)("%s: hostile words harm nobody", (name) => {
    const hostile = ["constructor", "__proto__", "", ",", "\\", "~(", "*", "99999", "a".repeat(300)];
    for (const value of hostile) {
      for (const key of ["SERVICE_", "SERVICE_80_", "SERVICE_CHECK_", "SERVICE_99999_", "VIRTUAL_"]) {
        const words = Object.fromEntries(
          ["NAME", "HOST", "PROTO", "PORT", "PATH", "DEST", "HOST_MULTIPORTS", "IGNORE", "TAGS", value].map((word) => [
            `${key}${word}`,
            value,
          ]),
        );
        expect(() => read({ labels: words }, name)).not.toThrow();
        expect(() => read({ env: words, ports: [] }, name)).not.toThrow();
      }
    }
  });
});

describe("precedence", () => {
  test("label beats env", () => {
    const shape = { env: { SERVICE_NAME: "env", VIRTUAL_HOST: "env" }, labels: { SERVICE_NAME: "label" } };
    expect(names(shape, "registrator")).toEqual(["label 80/tcp"]);
    expect(names({ ...shape, labels: { VIRTUAL_HOST: "label" } }, "nginx-proxy")).toEqual(["label 80/tcp"]);
    expect(names({ ...shape, labels: { SERVICE_NAME: " " } }, "registrator")).toEqual(["env 80/tcp"]);
  });

  test("per-port beats general, also from the environment", () => {
    const shape = { env: { SERVICE_80_NAME: "port" }, labels: { SERVICE_NAME: "general" } };
    expect(names(shape, "registrator")).toEqual(["port 80/tcp"]);
  });

  test("own beats foreign, even the general own the foreign per-port; what own leaves unsaid stands", () => {
    const labels = { "smartstack.service": "own", "smartstack.meta.tags": "mine", SERVICE_80_NAME: "theirs" };
    const { services } = read({ labels: { ...labels, SERVICE_TAGS: "x", SERVICE_TEAM: "y" } }, "registrator");
    expect(services).toMatchObject([{ service: "own", meta: { tags: "mine", team: "y" } }]);
    const { services: foreign } = read({ labels: { "smartstack.weight": "7", SERVICE_NAME: "theirs" } }, "registrator");
    expect(foreign).toMatchObject([{ service: "theirs", weight: 7 }]);
  });

  test("own names decide which ports, so that a foreign one adds none", () => {
    const labels = { "smartstack.80.service": "own", SERVICE_443_NAME: "tls" };
    expect(names({ labels, ports: ["80!", "443!"] }, "registrator")).toEqual(["own 80/tcp"]);
    expect(
      names({ labels: { "smartstack.port": "443", SERVICE_443_NAME: "tls" }, ports: ["80!", "443!"] }, "registrator"),
    ).toEqual(["tls 443/tcp"]);
  });

  test("a port that an own label ignores is offered under no foreign name either", () => {
    const labels = { "smartstack.443.ignore": "1", SERVICE_80_NAME: "web", SERVICE_443_NAME: "tls" };
    expect(names({ labels, ports: ["80!", "443!"] }, "registrator")).toEqual(["web 80/tcp"]);
    expect(names({ labels: { ...labels, VIRTUAL_HOST: "a", VIRTUAL_PORT: "443" } }, "nginx-proxy")).toEqual([]);
  });

  test("of two conventions the first that names it wins", () => {
    const labels = { SERVICE_NAME: "reg", VIRTUAL_HOST: "web.example" };
    expect(names({ labels }, "registrator", "nginx-proxy")).toEqual(["reg 80/tcp"]);
    expect(names({ labels }, "nginx-proxy", "registrator")).toEqual(["web.example 80/tcp"]);
    expect(names({ labels: { VIRTUAL_HOST: "web.example" } }, "registrator", "nginx-proxy")).toHaveLength(1);
  });
});

describe("compose", () => {
  const labels = { "com.docker.compose.service": "api", "com.docker.compose.oneoff": "False" };
  const optedIn = { ...labels, "smartstack.port": "80" };

  test("names what opts in by smartstack.port", () => {
    expect(names({ labels: optedIn }, "compose")).toEqual(["api 80/tcp"]);
    expect(names({ labels }, "compose")).toEqual([]);
    expect(names({ labels: { ...optedIn, "smartstack.port": "" } }, "compose")).toEqual([]);
    expect(names({ labels: { ...optedIn, "smartstack.service": "own" } }, "compose")).toEqual(["own 80/tcp"]);
  });

  test("names a swarm's task by its service", () => {
    const task = { "com.docker.swarm.service.name": "shop_web", "smartstack.port": "80" };
    expect(names({ labels: task }, "compose")).toEqual(["shop_web 80/tcp"]);
    expect(names({ labels: { ...task, ...optedIn } }, "compose")).toEqual(["api 80/tcp"]);
  });

  test("a one-off container is left alone, whatever is switched on: it only carries the service's labels", () => {
    const oneOff = { ...optedIn, "smartstack.service": "own", "com.docker.compose.oneoff": "True", SERVICE_NAME: "x" };
    const left = { services: [], refusals: [], ignored: "one-off container (docker-compose run)" };
    expect(read({ labels: oneOff })).toMatchObject(left);
    for (const name of CONVENTION_NAMES) expect(read({ labels: oneOff }, name)).toMatchObject(left);
    const exposeByDefault = readLabels(container({ labels: oneOff }), { conventions: [], exposeByDefault: true });
    expect(exposeByDefault).toMatchObject(left);
    expect(names({ labels: { ...oneOff, "com.docker.compose.oneoff": "False" } })).toEqual(["own 80/tcp"]);
  });
});

describe("docker-register", () => {
  test.each<[string, Shape, string[]]>([
    ["one published port", { image: "reg.local:5000/team/web:1.2@sha256:abc" }, ["web 80/tcp"]],
    ["without registry and tag", { image: "whoami" }, ["whoami 80/tcp"]],
    ["unpublished", { ports: ["80"] }, []],
    ["two ports", { ports: ["80!", "81"] }, []],
    ["UDP", { ports: ["53/udp!"] }, []],
    ["no port", { ports: [] }, []],
  ])("%s", (_, shape, expected) => {
    expect(names(shape, "docker-register")).toEqual(expected);
    expect(read(shape, "docker-register").refusals).toEqual([]);
  });

  test("the container's port is the listen port", () => {
    expect(read({}, "docker-register").services).toMatchObject([{ service: "app", listen: 80 }]);
  });

  test("an image that is known by its id only is refused with the reason", () => {
    expect(read({ image: "sha256:0123" }, "docker-register").refusals).toEqual([
      "its image sha256:0123 has no name: set smartstack.service",
    ]);
    expect(read({ image: "0123456789ab" }, "docker-register").services).toEqual([]);
  });
});

describe("nginx-proxy", () => {
  const host = (value: string, more: Record<string, string> = {}): Shape => ({ env: { VIRTUAL_HOST: value, ...more } });

  test.each<[string, Shape, string[]]>([
    ["the host is the name", host("web.example.com"), ["web.example.com 80/tcp"]],
    ["the first literal one", host("*.x, ~^a.*$, web.example.com, b.example"), ["web.example.com 80/tcp"]],
    ["an empty value is none", host(" "), []],
    ["VIRTUAL_PORT, exposed or not", host("a.b", { VIRTUAL_PORT: "8080" }), ["a.b 8080/tcp"]],
    ["the only port", { ...host("a.b"), ports: ["8080"] }, ["a.b 8080/tcp"]],
    ["of several, 80", { ...host("a.b"), ports: ["443", "80"] }, ["a.b 80/tcp"]],
    ["of several without 80, none", { ...host("a.b"), ports: ["443", "81"] }, []],
  ])("%s", (_, shape, expected) => {
    expect(names(shape, "nginx-proxy")).toEqual(expected);
  });

  test.each<[string, Shape, RegExp]>([
    ["wildcards only", { labels: { VIRTUAL_HOST: "*.example" } }, /^label VIRTUAL_HOST=\*.example: wildcards/],
    ["a host that is no service's name", host("_a_"), /^environment VIRTUAL_HOST: expected a service name/],
    ["with a port", host("a.b:80"), /expected a service name/],
    ["several ports", { ...host("a.b"), ports: ["443", "81"] }, /several ports/],
    ["a bad port", host("a.b", { VIRTUAL_PORT: "http" }), /^environment VIRTUAL_PORT: expected a port/],
    [
      "an unknown protocol",
      host("a.b", { VIRTUAL_PROTO: "gopher" }),
      /^environment VIRTUAL_PROTO: expected one of http, https/,
    ],
    ["a part of a host", host("a.b", { VIRTUAL_PATH: "/api" }), /part of a host cannot name a service/],
  ])("%s is refused", (_, shape, reason) => {
    const { services, refusals } = read(shape, "nginx-proxy");
    expect(services).toEqual([]);
    expect(refusals).toEqual([expect.stringMatching(reason)]);
  });

  test.each([
    [undefined, "http", 0],
    ["HTTP", "http", 0],
    ["https", "tcp", 1],
    ["fastcgi", "tcp", 1],
  ])("VIRTUAL_PROTO %s is carried as %s", (protocol, mode, warned) => {
    const shape = host("a.b", protocol === undefined ? {} : { VIRTUAL_PROTO: protocol });
    const { services, warnings } = read(shape, "nginx-proxy");
    expect(services).toMatchObject([{ mode }]);
    expect(warnings).toHaveLength(warned);
  });

  test("what cannot be named by it may be named by its own label, and is http all the same", () => {
    const shape = { ...host("*.x", { VIRTUAL_PATH: "/api" }), labels: { "smartstack.service": "api" } };
    expect(read(shape, "nginx-proxy").services).toMatchObject([
      { service: "api", mode: "http", meta: { path: "/api" } },
    ]);
  });

  test("what it says is said of its own port, not of those with a name of their own", () => {
    const ports = ["5432", "8080"];
    const of = (labels: Record<string, string>, more: Record<string, string> = {}) =>
      read({ ...host("a.b", { VIRTUAL_PATH: "/", ...more }), labels, ports }, "nginx-proxy").services.map(
        ({ service, port, mode, meta }) => `${service} ${port.port} ${mode} ${meta.path}`,
      );
    const both = { "smartstack.5432.service": "db", "smartstack.8080.service": "web" };
    expect(of(both, { VIRTUAL_PORT: "8080" })).toEqual(["db 5432 undefined undefined", "web 8080 http /"]);
    expect(of({ "smartstack.5432.service": "db" })).toEqual(["db 5432 undefined undefined"]);
    expect(of({ "smartstack.port": "5432", "smartstack.service": "db" }, { VIRTUAL_PORT: "8080" })).toEqual([
      "db 5432 undefined undefined",
    ]);
    expect(of({ "smartstack.port": "9000" }, { VIRTUAL_PORT: "8080" })).toEqual(["a.b 9000 http /"]);
  });

  test.each([
    [{ VIRTUAL_PATH: "/", VIRTUAL_DEST: "/" }, 0],
    [{ VIRTUAL_DEST: "/app" }, 1],
  ])("a path that would be rewritten is told: %o", (words, warned) => {
    const { services, warnings } = read(host("a.b", words), "nginx-proxy");
    expect([services.length, warnings.length]).toEqual([1, warned]);
  });

  test("the root of a host is the host", () => {
    expect(names(host("a.b", { VIRTUAL_PATH: "/" }), "nginx-proxy")).toEqual(["a.b 80/tcp"]);
  });
});

describe("nginx-proxy: several ports", () => {
  const PORTS = ["80!", "8000!", "9000!"];
  const several = (value: string, more: Record<string, string> = {}, ports = PORTS): Shape => ({
    env: { VIRTUAL_HOST_MULTIPORTS: value, ...more },
    ports,
  });
  const documented = [
    "www.example.org:",
    "service1.example.org:",
    '  "/":',
    "    port: 8000",
    "service2.example.org:",
    '  "/":',
    "    port: 9000",
    '    dest: "/"',
  ].join("\n");
  const json = JSON.stringify({
    "www.example.org": {},
    "service1.example.org": { "/": { port: 8000, dest: "" } },
    "service2.example.org": { "/": { port: "9000" } },
  });

  test.each([
    ["YAML", documented],
    ["JSON", json],
  ])("a host each, as nginx-proxy documents it, in %s", (_, text) => {
    const shape = several(text, { VIRTUAL_HOST: "not.me", VIRTUAL_PORT: "1", VIRTUAL_PATH: "/x", VIRTUAL_DEST: "/y" });
    expect(names(shape, "nginx-proxy")).toEqual([
      "www.example.org 80/tcp",
      "service1.example.org 8000/tcp",
      "service2.example.org 9000/tcp",
    ]);
    expect(read(shape, "nginx-proxy")).toMatchObject({ refusals: [], warnings: [] });
    expect(names({ labels: { VIRTUAL_HOST_MULTIPORTS: text }, ports: PORTS }, "nginx-proxy")).toHaveLength(3);
  });

  test("paths of a host: its root is the service, the others are told without a value", () => {
    const text = 'www.example.org: {"/": , "/one": {port: 8000, dest: "/"}, "/two": {port: 9000, dest: "/"}}';
    const { services, refusals, warnings } = read(several(text), "nginx-proxy");
    expect(services).toMatchObject([{ service: "www.example.org", port: { port: 80 }, mode: "http" }]);
    expect(refusals).toEqual([]);
    expect(warnings).toEqual(
      [8000, 9000].map(
        (port) =>
          `environment VIRTUAL_HOST_MULTIPORTS, port ${port}: a part of a host cannot name a service: name each port by a label smartstack.<port>.service`,
      ),
    );
  });

  test.each<[string, string, string[], RegExp[]]>([
    [
      "two hosts on a port",
      '{a.b: {"/": {port: 80}}, c.d: {"/": {port: 80}}}',
      ["a.b 80/tcp"],
      [/port 80: several hosts/],
    ],
    ["a pattern beside a host", '{"*.x": {"/": {port: 8000}}, a.b: }', ["a.b 80/tcp"], [/port 8000: wildcards/]],
    ["a protocol of its own", 'a.b: {"/": {proto: https}}', ["a.b 80/tcp"], [/proto: not HTTP\/1\.1/]],
    [
      "a wrong protocol",
      '{a.b: {"/": {proto: gopher, port: 81}}, c.d: }',
      ["c.d 80/tcp"],
      [/proto: expected one of http/],
    ],
    ["a wrong port", '{a.b: {"/": {port: x}}, c.d: {"/": {port: 53/udp}}, e.f: }', ["e.f 80/tcp"], [/expected a port/]],
    ["a rewritten path", 'a.b: {"/": {dest: /app}}', ["a.b 80/tcp"], [/dest: paths are not rewritten/]],
    [
      "ports outside",
      'a.b: {external_http_port: 8080, "/": {port: 80}}',
      ["a.b 80/tcp"],
      [/external ports have no effect/],
    ],
    ["a host that is no mapping", '{a.b: 80, c.d: {"/": 80}, e.f: }', ["e.f 80/tcp"], [/expected a mapping host/]],
  ])("%s: the rest counts, and it is told", (_, text, services, warnings) => {
    const shape = several(text, {}, ["80!"]);
    expect(names(shape, "nginx-proxy")).toEqual(services);
    expect(read(shape, "nginx-proxy").warnings).toEqual(warnings.map((warning) => expect.stringMatching(warning)));
  });

  test.each<[string, string, RegExp]>([
    ["no YAML", "a: [s3cret", /^environment VIRTUAL_HOST_MULTIPORTS: neither YAML nor JSON \(line 1\)$/],
    ["a list", "- s3cret", /expected a mapping host → path/],
    ["text", "s3cret", /expected a mapping host → path/],
    ["nothing in it", "{}", /it names no host/],
    ["only patterns and paths", '{"~s3cret": , "s3cret": {"/x": }}', /wildcards .*; .*a part of a host/],
    ["too deep", "[".repeat(10_000), /neither YAML nor JSON/],
    ["too long", `a: ${"x".repeat(20_000)}`, /longer than 16384 characters/],
    [
      "aliases that multiply",
      "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]",
      /neither YAML|expected a mapping/,
    ],
  ])("%s: refused, with the reason and without the value", (_, text, reason) => {
    const verdict = read(several(text, {}, ["80!"]), "nginx-proxy");
    expect(verdict.services).toEqual([]);
    expect(verdict.refusals).toEqual([expect.stringMatching(reason)]);
    expect(JSON.stringify(verdict)).not.toContain("s3cret");
  });

  test("no port, and several that it might be: a refusal instead of nginx-proxy's guess", () => {
    const { services, refusals } = read(several("a.b:", {}, ["81!", "82!"]), "nginx-proxy");
    expect(services).toEqual([]);
    expect(refusals).toEqual([expect.stringMatching(/expected a port from 1 to 65535 beside each path/)]);
  });

  test("VIRTUAL_PROTO counts where a path has none of its own; own labels count before all", () => {
    const shape = several('{a.b: , c.d: {"/": {port: 8000, proto: http}}}', { VIRTUAL_PROTO: "grpc" });
    expect(read(shape, "nginx-proxy").services).toMatchObject([{ mode: "tcp" }, { mode: "http" }]);
    const labels = { "smartstack.8000.service": "own", "smartstack.80.service": "root" };
    expect(names({ ...shape, labels }, "nginx-proxy")).toEqual(["root 80/tcp", "own 8000/tcp"]);
  });
});

describe("a secret of the environment that only looks like registrator's", () => {
  const env = { SERVICE_PASSWORD: "s3cret", SERVICE_80_KEY: "k3y" };
  const meta = (shape: Shape, ...conventions: ConventionName[]) =>
    read(shape, ...conventions).services.map((service) => service.meta);

  test("stays where it is, whoever else names the container", () => {
    expect(meta({ env, labels: { "smartstack.service": "own" } }, "registrator")).toEqual([{}]);
    expect(meta({ env }, "docker-register", "registrator")).toEqual([{}]);
    const byDefault = readLabels(container({ env }), { conventions: ["registrator"], exposeByDefault: true });
    expect(byDefault.services).toMatchObject([{ meta: {} }]);
  });

  test("goes only with the port that registrator's words name", () => {
    const shape: Shape = {
      env: { ...env, SERVICE_443_NAME: "tls" },
      labels: { "smartstack.80.service": "own", "smartstack.443.service": "own-tls", SERVICE_TEAM: "shop" },
      ports: ["80!", "443!"],
    };
    expect(meta(shape, "registrator")).toEqual([{ team: "shop" }, { team: "shop", password: "s3cret" }]);
    expect(meta({ env: { ...env, SERVICE_NAME: "web" } }, "registrator")).toEqual([{ password: "s3cret", key: "k3y" }]);
  });
});

describe("registrator: which services", () => {
  const of = (env: Record<string, string>, ports: readonly string[] = ["80!"]): string[] =>
    names({ env, ports }, "registrator");

  test.each<[string, string[], string[]]>([
    ["one port: the name", ["80!"], ["web 80/tcp"]],
    ["several: its number behind it", ["80!", "443!"], ["web-80 80/tcp", "web-443 443/tcp"]],
    ["of several, those that are published", ["80", "443!"], ["web 443/tcp"]],
    ["where none is published, those that are exposed", ["80", "443"], ["web-80 80/tcp", "web-443 443/tcp"]],
    ["UDP is a port of its own", ["53/tcp!", "53/udp!"], ["web-53 53/tcp", "web-53 53/udp"]],
    ["no port", [], []],
  ])("%s", (_, ports, expected) => {
    expect(of({ SERVICE_NAME: "web" }, ports)).toEqual(expected);
  });

  test("registrator's own example of two services", () => {
    const env = {
      SERVICE_443_NAME: "https",
      SERVICE_443_ID: "https.12345",
      SERVICE_80_NAME: "http",
      SERVICE_TAGS: "www",
    };
    expect(read({ env, ports: ["80!", "443!"] }, "registrator").services).toMatchObject([
      { service: "http", port: { port: 80 }, meta: { tags: "www" } },
      { service: "https", port: { port: 443 }, meta: { tags: "www", id: "https.12345" } },
    ]);
  });

  test("a service of UDP is tagged so, beside its own tags", () => {
    const ports = ["53/tcp!", "53/udp!"];
    const meta = (env: Record<string, string>) => read({ env, ports }, "registrator").services.map((one) => one.meta);
    expect(meta({ SERVICE_NAME: "dns", SERVICE_TAGS: "a,b" })).toEqual([{ tags: "a,b" }, { tags: "a,b,udp" }]);
    expect(meta({ SERVICE_NAME: "dns" })).toEqual([{}, { tags: "udp" }]);
  });

  test("no name, no service: as with registrator's -explicit", () => {
    expect(of({ SERVICE_TAGS: "www" })).toEqual([]);
  });

  test.each<[string, Record<string, string>, string[]]>([
    ["SERVICE_IGNORE", { SERVICE_IGNORE: "yes please" }, []],
    ["for one port", { SERVICE_82_IGNORE: "1" }, ["web-81 81/tcp"]],
    ["for both", { SERVICE_82_IGNORE: "1", SERVICE_81_IGNORE: "1" }, []],
    ["false means no", { SERVICE_IGNORE: "false" }, ["web-81 81/tcp", "web-82 82/tcp"]],
    ["false for one port", { SERVICE_IGNORE: "1", SERVICE_81_IGNORE: "no" }, ["web-81 81/tcp"]],
    ["empty means nothing", { SERVICE_IGNORE: "" }, ["web-81 81/tcp", "web-82 82/tcp"]],
  ])("ignored: %s", (_, env, expected) => {
    expect(of({ SERVICE_NAME: "web", ...env }, ["81!", "82!"])).toEqual(expected);
  });

  test("SERVICE_IGNORE=false is told, as registrator takes it for yes", () => {
    const { warnings } = read({ env: { SERVICE_NAME: "web", SERVICE_IGNORE: "false" } }, "registrator");
    expect(warnings).toEqual([expect.stringMatching(/SERVICE_IGNORE: taken for no/)]);
  });

  test("its own label may say otherwise than SERVICE_IGNORE", () => {
    const labels = { SERVICE_IGNORE: "1", "smartstack.service": "own" };
    expect(names({ labels }, "registrator")).toEqual(["own 80/tcp"]);
  });

  test("words of a port that is not offered are told", () => {
    const { warnings } = read({ env: { SERVICE_NAME: "web", SERVICE_99_TAGS: "x" } }, "registrator");
    expect(warnings).toEqual(["SERVICE_99_TAGS has no effect: the container offers no such port"]);
  });
});

describe("registrator: what it says of them", () => {
  const service = (env: Record<string, string>) => {
    const { services, refusals, warnings } = read({ env: { SERVICE_NAME: "web", ...env } }, "registrator");
    return { ...services[0], refusals, warnings };
  };

  test.each<[string, string[]]>([
    ["foo,bar\\,baz", ["foo", "bar,baz"]],
    [",,,,foo,,,bar,,,", ["foo", "bar"]],
    ["\\,x\\,", [",x,"]],
    ["", []],
  ])("tags %s", (text, tags) => {
    expect(splitTags(text)).toEqual(tags);
  });

  test("tags, id and every other word become meta, by lower-case keys", () => {
    const env = { SERVICE_TAGS: ",a,,b\\,c", SERVICE_ID: "web-1", SERVICE_Region: "eu", SERVICE_80_TEAM: "shop" };
    expect(service(env).meta).toEqual({ tags: "a,b\\,c", id: "web-1", region: "eu", team: "shop" });
  });

  test.each<[string, Record<string, string>, object]>([
    ["HTTP", { SERVICE_CHECK_HTTP: "/h" }, { check: { type: "http", path: "/h" } }],
    ["HTTP for one port", { SERVICE_80_CHECK_HTTP: "/h" }, { check: { type: "http", path: "/h" } }],
    ["HTTP before TCP", { SERVICE_CHECK_HTTP: "/h", SERVICE_CHECK_TCP: "true" }, { check: { type: "http" } }],
    ["TCP", { SERVICE_CHECK_TCP: "true" }, { check: { type: "tcp" } }],
    [
      "HTTPS before TCP",
      { SERVICE_CHECK_HTTPS: "/h", SERVICE_CHECK_TLS_SKIP_VERIFY: "true", SERVICE_CHECK_TCP: "true" },
      { check: { type: "https", path: "/h" }, meta: {}, warnings: [] },
    ],
    ["HTTP before HTTPS", { SERVICE_CHECK_HTTPS: "/s", SERVICE_CHECK_HTTP: "/h" }, { check: { path: "/h" } }],
    ["gRPC", { SERVICE_CHECK_GRPC: "true" }, { check: { type: "grpc", port: undefined }, warnings: [] }],
    [
      "gRPC over TLS, which no label can say",
      { SERVICE_CHECK_GRPC: "true", SERVICE_CHECK_GRPC_USE_TLS: "true" },
      { check: undefined, warnings: [expect.stringMatching(/^SERVICE_CHECK_GRPC_USE_TLS is not supported/)] },
    ],
    [
      "Go's times",
      { SERVICE_CHECK_INTERVAL: "1m30s", SERVICE_CHECK_TIMEOUT: "1.5s" },
      { intervalMs: 90_000, timeoutMs: 1_500 },
    ],
    ["none", {}, { check: undefined, intervalMs: undefined }],
    ["what is so anyway", { SERVICE_CHECK_INITIAL_STATUS: "passing" }, { meta: {}, warnings: [] }],
  ])("check: %s", (_, env, expected) => {
    expect(service(env)).toMatchObject({ ...expected, refusals: [] });
  });

  test.each(["SCRIPT", "CMD", "TTL", "HTTP_METHOD", "CONSTRUCTOR"])("check %s: told, and no meta", (kind) => {
    const { meta, warnings } = service({ [`SERVICE_CHECK_${kind}`]: "s3cret" });
    expect(meta).toEqual({});
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`^SERVICE_CHECK_${kind} is not supported`))]);
    expect(JSON.stringify(warnings)).not.toContain("s3cret");
  });

  test("a wrong value refuses the service, and names the variable without its value", () => {
    expect(service({ SERVICE_CHECK_INTERVAL: "s00n" }).refusals).toEqual([
      expect.stringMatching(/^environment SERVICE_CHECK_INTERVAL: expected a time/),
    ]);
    const named = read({ env: { SERVICE_NAME: "s3cret name" } }, "registrator");
    expect(named.refusals).toEqual([expect.stringMatching(/^environment SERVICE_NAME: expected a service name/)]);
    expect(JSON.stringify(named)).not.toContain("s3cret");
  });
});

describe("the environment", () => {
  const json = { Config: { Env: ["SERVICE_NAME=web", "VIRTUAL_HOST=a=b", "PASSWORD=s3cret", "SERVICE_FLAG", "=x"] } };

  test.each<[ConventionName[], object]>([
    [[], {}],
    [["compose", "docker-register"], {}],
    [["registrator"], { SERVICE_NAME: "web", SERVICE_FLAG: "" }],
    [["nginx-proxy"], { VIRTUAL_HOST: "a=b" }],
  ])("of %s only their variables get past the parser", (conventions, env) => {
    expect(containerFacts(json, envFilter(conventions)).env).toEqual(env);
  });

  test("none at all unless asked for", () => {
    expect(containerFacts(json).env).toEqual({});
    expect(containerFacts({ Config: { Env: null } }, () => true).env).toEqual({});
  });
});

import { loadConfig } from "@smartstack/core";
import { describe, expect, test } from "vitest";
import { nerveConfig } from "./config.ts";
import { dockerConfig } from "./docker-config.ts";

const nerve = (text: string) => loadConfig({ file: "nerve.yaml", text, env: {} }, nerveConfig);
const docker = (text: string) => loadConfig({ file: "docker.yaml", text, env: {} }, dockerConfig);

test("everything has a default", () => {
  expect(nerve("{}").value).toEqual({
    on_all_down: "withdraw",
    services: {},
    check: { interval: 2_000, timeout: 1_000, rise: 1, fall: 2 },
    reconcile: 30_000,
  });
  expect(docker("{}").value).toEqual({
    address: "auto",
    filter: {},
    conventions: [],
    expose_by_default: false,
  });
});

test("services in the original's words", () => {
  const { value, warnings } = nerve(`
instance_id: mymachine
services:
  web:
    host: 1.2.3.4
    port: "3000"
    check_interval: 0.5
    weight: 2
    haproxy_server_options: cookie i-1
    labels: {az: us-east-1a}
    checks:
      - {type: http, uri: /health, timeout: 0.2, rise: 3, fall: 2, expect: ok}
      - {type: noop}
      - {type: rabbitmq, username: nerve, password: secret}
      - {type: http, port: "8443", ssl: true, read_timeout: 1, open_timeout: 0.2, ssl_timeout: 0.2, headers: {Host: a.b}}
`);
  expect(warnings).toEqual([]);
  expect(value.services.web).toMatchObject({
    port: 3000,
    check_interval: 500,
    checks: [
      { type: "http", timeout: 200, rise: 3, options: { uri: "/health", expect: "ok" } },
      { type: "noop", options: {} },
      { type: "rabbitmq", options: { username: "nerve", password: "secret", vhost: "/" } },
      { type: "http", port: 8443, options: { ssl: true, read_timeout: 1_000, headers: { Host: "a.b" } } },
    ],
  });
});

describe("a check's own keys", () => {
  const check = (text: string) => nerve(`services: {web: {host: a, port: 1, checks: [${text}]}}`);

  test.each([
    ["{type: http, status: 200}", { status: [[200, 200]] }],
    ["{type: http, status: 200-299}", { status: [[200, 299]] }],
    [
      "{type: http, status: [200, 301-302]}",
      {
        status: [
          [200, 200],
          [301, 302],
        ],
      },
    ],
    ["{type: http, headers: {X-One: 1, X-Two: yes}}", { headers: { "X-One": "1", "X-Two": "yes" } }],
    ["{type: exec, command: [/bin/true, -v, on]}", { command: ["/bin/true", "-v", "on"] }],
    ["{type: redis, password_file: /run/secrets/redis}", { password_file: "/run/secrets/redis" }],
    ["{type: grpc, service: a.B, tls: true}", { service: "a.B", tls: true }],
  ])("%s", (text, options) => {
    const { value, warnings } = check(text);
    expect(value.services.web?.checks[0]?.options).toMatchObject(options);
    expect(warnings).toEqual([]);
  });

  test.each([
    ["{type: htttp}", /did you mean http/],
    ["{uri: /health}", /checks.0.type: missing, expected one of exec, grpc, http/],
    ["{type: exec}", /command: missing, expected a list/],
    ["{type: exec, command: /bin/true -v}", /expected a list/],
    ["{type: exec, command: []}", /command/],
    ["{type: http, status: 99}", /expected a status such as 200/],
    ["{type: http, status: 299-200}", /a range such as 200-299/],
    ["{type: http, method: CONNECT}", /expected one of GET, HEAD/],
    ["{type: http, method: HEAD, expect: ok}", /expect: an answer to HEAD has no body/],
    ["{type: http, headers: {'a b': c}}", /headers.a b: /],
    ["{type: http, path: health}", /begins with \//],
    ["{type: tcp, host: 'a:80'}", /without a port/],
    ["{type: tcp, damping: 0}", /damping/],
    ["{type: redis, timeout: 2m}", /from 10ms to 1m/],
  ])("%s is refused", (text, reason) => {
    expect(() => check(text)).toThrow(reason);
  });

  test("another kind's key is a warning, and has no effect", () => {
    const { value, warnings } = check("{type: tcp, uri: /health}");
    expect(warnings).toEqual([expect.stringMatching(/unknown key uri in services.web.checks.0/)]);
    expect(value.services.web?.checks[0]).toEqual({ type: "tcp", options: {} });
    expect(check("{type: grpc, password: x}").warnings[0]).not.toMatch(/did you mean/);
    expect(check("{type: redis, pasword: x}").warnings[0]).toMatch(/did you mean password/);
  });
});

describe("wrong values say what was expected", () => {
  test.each([
    ["services: {-web: {host: a, port: 1}}", /service name/],
    ["services: {web: {port: 1}}", /host/],
    ["services: {web: {host: 'a:80', port: 1}}", /without a port/],
    ["services: {web: {host: a, port: 1, checks: [{type: docker}]}}", /type/],
    ["services: {web: {host: a, port: 1, checks: [{type: http, uri: health}]}}", /begins with \//],
    ["check: {interval: 1ms}", /from 50ms/],
    ["on_stop: maybe", /on_stop/],
    ["on_all_down: kep", /did you mean keep/],
    ["reconcile: 10ms", /from 1s/],
  ])("%s", (text, reason) => {
    expect(() => nerve(text)).toThrow(reason);
  });

  test.each([
    ["host: /var/run/docker.sock", /expected unix:\/\/\//],
    ["node: a/b", /node name/],
    ["advertise: 10.0.0.1:80", /without a port/],
    ["conventions: [registrater]", /expected one of compose, docker-register.*did you mean registrator/],
    ["filter: {project: other}", /own/],
  ])("%s", (text, reason) => {
    expect(() => docker(text)).toThrow(reason);
  });
});

test("an unknown key is a warning with what was meant", () => {
  expect(docker("advertize: 10.0.0.1").warnings[0]).toMatch(/did you mean advertise/);
});

test("IPv6 can be advertised", () => {
  expect(docker('advertise: "fd00::7"').value.advertise).toBe("fd00::7");
});

test("a service whose document no registry takes is wrong", () => {
  const of = (chars: number) => nerve(`services: {big: {host: a, port: 1, labels: {a: ${"x".repeat(chars)}}}}`);
  expect(of(10_000).value.services.big).toBeDefined();
  expect(() => of(17_000)).toThrow("more than 16384 bytes");
});

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
`);
  expect(warnings).toEqual([]);
  expect(value.services.web).toMatchObject({
    port: 3000,
    check_interval: 500,
    checks: [{ type: "http", uri: "/health", timeout: 200, rise: 3 }, { type: "noop" }],
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

import { loadConfig } from "@smartstack/core";
import { describe, expect, test } from "vitest";
import { dockerEngines, dockerSetting } from "./docker-config.ts";

type Env = Record<string, string>;

const load = (text: string) => loadConfig({ file: "f.yaml", text, env: {} }, dockerSetting);
const engines = (text: string, env: Env = {}) => dockerEngines(load(text).value, env);

describe("which engine", () => {
  const TLS = { ca_file: "/c/ca.pem", cert_file: "/c/cert.pem", key_file: "/c/key.pem" };

  test.each<[string, string, Env, object]>([
    ["the socket", "{}", {}, { host: "unix:///var/run/docker.sock" }],
    ["DOCKER_HOST", "{}", { DOCKER_HOST: "unix:///run/x.sock" }, { host: "unix:///run/x.sock" }],
    ["an empty one is none", "{}", { DOCKER_HOST: "" }, { host: "unix:///var/run/docker.sock" }],
    ["without tcp://", "{}", { DOCKER_HOST: "10.0.0.8:2375" }, { host: "tcp://10.0.0.8:2375" }],
    [
      "configured, whatever the environment",
      "host: tcp://a:1",
      { DOCKER_HOST: "b", DOCKER_TLS_VERIFY: "1" },
      { host: "tcp://a:1" },
    ],
    ["IPv6", 'host: "tcp://[fd00::8]:2375"', {}, { host: "tcp://[fd00::8]:2375" }],
    [
      "TLS as the docker command has it",
      "{}",
      { DOCKER_HOST: "tcp://a", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/c/" },
      { host: "tcp://a", tls: { ...TLS, verify: true } },
    ],
    [
      "its certificates without its verification",
      "{}",
      { DOCKER_HOST: "tcp://a", DOCKER_CERT_PATH: "/c" },
      { tls: { ...TLS, verify: false } },
    ],
    [
      "in the home folder",
      "{}",
      { DOCKER_HOST: "tcp://a", DOCKER_TLS_VERIFY: "1", HOME: "/h" },
      { tls: { ca_file: "/h/.docker/ca.pem" } },
    ],
    [
      "configured TLS before the environment's",
      "tls: {ca_file: /ca}",
      { DOCKER_HOST: "tcp://a", DOCKER_TLS_VERIFY: "1" },
      { tls: { ca_file: "/ca", verify: true } },
    ],
    [
      "certificates mean nothing to a socket",
      "{}",
      { DOCKER_CERT_PATH: "/c" },
      { host: "unix:///var/run/docker.sock" },
    ],
  ])("%s", (_, text, env, expected) => {
    const [engine] = engines(text, env);
    expect(engine).toMatchObject(expected);
    expect(engine && "tls" in engine).toBe("tls" in expected);
  });

  test.each<[string, string, Env, RegExp]>([
    ["a path", "host: /var/run/docker.sock", {}, /f.yaml:1:1: host: expected unix:\/\/\/.*tcp:\/\/host:port/],
    ["a port that is none", "host: tcp://a:70000", {}, /expected unix/],
    ["an address that is none", 'host: "tcp://[::z]:1"', {}, /expected unix/],
    [
      "ssh, in the environment",
      "{}",
      { DOCKER_HOST: "ssh://a" },
      /DOCKER_HOST is ssh:\/\/a, expected .*set docker.host/,
    ],
    ["TLS to a socket", "{host: 'unix:///x', tls: {}}", {}, /tls: expected docker.host: tcp/],
    ["TLS to the default socket", "tls: {}", {}, /docker.tls: expected docker.host: tcp/],
    ["TLS to the environment's socket", "tls: {}", { DOCKER_HOST: "unix:///x" }, /engine would be at unix:\/\/\/x/],
    ["half a key pair", "{host: 'tcp://a', tls: {cert_file: /c}}", {}, /cert_file and key_file together/],
    ["an unknown convention", "conventions: [registrater]", {}, /did you mean registrator/],
    ["everybody's address", 'advertise: "0.0.0.0"', {}, /not the one for all interfaces/],
  ])("%s is refused", (_, text, env, reason) => {
    expect(() => engines(text, env)).toThrow(reason);
  });
});

describe("several engines", () => {
  test("each with its own options", () => {
    const found = engines("[{host: 'tcp://a', node: one}, {advertise: b}]", { DOCKER_HOST: "tcp://c" });
    expect(found).toMatchObject([
      { host: "tcp://a", node: "one", address: "auto" },
      { host: "tcp://c", advertise: "b" },
    ]);
  });

  test("none", () => {
    expect(engines("false")).toEqual([]);
    expect(() => engines("[]")).toThrow(/f.yaml/);
  });

  test("an unknown key is a warning, wherever it is", () => {
    expect(load("[{host: 'tcp://a', advertize: x}]").warnings).toEqual([
      expect.stringMatching(/did you mean advertise/),
    ]);
  });

  test.each([
    ["[{}, {}]", /two engines with host unix:\/\/\/var\/run\/docker.sock/],
    ["[{host: 'tcp://a', node: n}, {host: 'tcp://b', node: n}]", /two engines with node n/],
  ])("%s is refused", (text, reason) => {
    expect(() => engines(text)).toThrow(reason);
  });
});

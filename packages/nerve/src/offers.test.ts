import { describe, expect, test } from "vitest";
import { checkText } from "./checks/index.ts";
import { nerveConfig } from "./config.ts";
import { containerFacts, type InspectJson } from "./containers.ts";
import { dockerConfig } from "./docker-config.ts";
import { configOffers, containerOffers, type HostPolicy } from "./offers.ts";

const HOST: HostPolicy = {
  shared: false,
  advertise: undefined,
  sourceAddress: undefined,
  reach: { kind: "host", subnets: [{ address: "172.16.0.0", prefix: 12 }], addresses: new Set() },
};
const UNREACHABLE: HostPolicy = { ...HOST, reach: { kind: "container", networks: new Set() } };
const DEFAULTS = nerveConfig.parse({}).check;
const ID = "0123456789abcdef".repeat(4);

function offers(labels: Record<string, string>, host = HOST, more: InspectJson = {}) {
  const facts = containerFacts({
    Id: ID,
    Name: "/web",
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Networks: { bridge: { NetworkID: "b", IPAddress: "172.17.0.2" } } },
    ...more,
    Config: { Image: "shop/web:1", Labels: labels, ExposedPorts: { "80/tcp": {} }, ...more.Config },
  });
  return containerOffers(facts, facts, dockerConfig.parse({}), DEFAULTS, host);
}

const WEB = { "smartstack.service": "web" };

test("the document, without what only runtime knows", () => {
  const { offers: found } = offers({
    ...WEB,
    "smartstack.weight": "3",
    "smartstack.zone": "a",
    "smartstack.meta.team": "shop",
    other: "x",
  });
  expect(found[0]?.instance).toEqual({
    host: "172.17.0.2",
    port: 80,
    weight: 3,
    labels: { team: "shop" },
    id: "0123456789ab-80",
    listen: 80,
    mode: "tcp",
    zone: "a",
    container: "0123456789ab",
    image: "shop/web:1",
  });
});

describe("the check", () => {
  const check = (labels: Record<string, string>, host = HOST, more: InspectJson = {}) => {
    const { offers: found, refusals } = offers({ ...WEB, ...labels }, host, more);
    const spec = found[0]?.checks[0];
    return spec === undefined ? refusals[0] : `${checkText(spec)} ${spec.rise}/${spec.fall}`;
  };
  const healthy: InspectJson = { State: { Running: true, Health: { Status: "starting" } } };

  test("tcp by default, Docker's where there is one", () => {
    expect(check({})).toBe("tcp 172.17.0.2:80 1/2");
    expect(check({}, HOST, healthy)).toBe("docker 1/1");
  });

  test("Docker says a health once, so nothing is counted, and what asks for it is told", () => {
    const labels = { "smartstack.check.fall": "2", "smartstack.check.rise": "3", "smartstack.check.interval": "1s" };
    expect(check(labels, HOST, healthy)).toBe("docker 1/1");
    expect(offers({ ...WEB, ...labels }, HOST, healthy).warnings).toEqual([
      "web: check.interval, check.rise, check.fall has no effect: the container's HEALTHCHECK has its own",
    ]);
    expect(check({ ...labels, "smartstack.check": "none" })).toBe("none 1/1");
    expect(offers({ ...WEB, ...labels }).warnings).toEqual([]);
  });

  test("by label, which makes an http service of it", () => {
    expect(check({ "smartstack.check": "http:8081/health", "smartstack.check.fall": "5" })).toBe(
      "http 172.17.0.2:8081/health 1/5",
    );
    expect(offers({ ...WEB, "smartstack.check": "http:/" }).offers[0]?.instance.mode).toBe("http");
    expect(offers({ ...WEB, "smartstack.check": "http:/", "smartstack.mode": "tcp" }).offers[0]?.instance.mode).toBe(
      "tcp",
    );
  });

  test("docker without HEALTHCHECK is refused", () => {
    expect(check({ "smartstack.check": "docker" })).toMatch(/has no HEALTHCHECK/);
  });

  test("what nerve cannot reach is refused, unless it need not be probed", () => {
    expect(check({}, UNREACHABLE)).toBe(
      "web: nerve cannot reach network bridge: use host network, attach it, or smartstack.check=docker|none",
    );
    expect(check({ "smartstack.check": "none" }, UNREACHABLE)).toMatch(/^none/);
    expect(check({}, UNREACHABLE, healthy)).toMatch(/^docker/);
  });

  test("UDP is not probed, and cannot be", () => {
    const udp = { "smartstack.port": "53/udp" };
    expect(check(udp)).toMatch(/^none/);
    expect(check({ ...udp, "smartstack.check": "tcp" })).toMatch(/cannot probe UDP/);
    expect(check({ ...udp, "smartstack.check": "tcp:81" })).toMatch(/^tcp 172.17.0.2:81/);
    expect(offers({ ...WEB, ...udp }).offers[0]).toMatchObject({
      id: "0123456789ab-53-udp",
      instance: { protocol: "udp" },
    });
  });
});

test("a document that no registry would take is refused with its size", () => {
  expect(offers({ ...WEB, "smartstack.meta.big": "x".repeat(16_000) })).toMatchObject({
    offers: [],
    refusals: [expect.stringMatching(/^web: its document would have more than 16384 bytes/)],
  });
});

test("the same port twice under one name is one registration", () => {
  const verdict = offers({ ...WEB, "smartstack.port": "80", "smartstack.80.service": "web" });
  expect(verdict.offers).toHaveLength(1);
});

test("services from configuration, with their checks", () => {
  const config = nerveConfig.parse({
    services: {
      db: { host: "10.0.0.5", port: 5432 },
      web: {
        host: "10.0.0.5",
        port: 80,
        weight: 2,
        labels: { az: "a" },
        haproxy_server_options: "backup",
        check_interval: 1,
        checks: [{ type: "http", uri: "/h", port: 81, rise: 3 }],
      },
    },
  });
  expect(configOffers(config, "node-a")).toMatchObject([
    { service: "db", id: "node-a-5432", checks: [], instance: { mode: "tcp" } },
    {
      service: "web",
      id: "node-a-80",
      instance: { weight: 2, labels: { az: "a" }, haproxyServerOptions: "backup", mode: "http" },
      checks: [
        {
          type: "http",
          host: "10.0.0.5",
          port: 81,
          options: { method: "GET", uri: "/h", headers: {} },
          intervalMs: 1_000,
          timeoutMs: 1_000,
          rise: 3,
          fall: 2,
        },
      ],
    },
  ]);
});

describe("checks from configuration", () => {
  const configured = (checks: readonly unknown[], check: unknown = {}) => {
    const config = nerveConfig.parse({ check, services: { db: { host: "10.0.0.5", port: 5432, checks } } });
    return configOffers(config, "node-a")[0];
  };

  test("each has a host, a port and a damping of its own, or the general one", () => {
    expect(configured([{ type: "redis", host: "::1", port: 6379, damping: 2 }, { type: "tcp" }])?.checks).toMatchObject(
      [
        { type: "redis", host: "::1", port: 6379, damping: 2 },
        { type: "tcp", host: "10.0.0.5", port: 5432, damping: undefined },
      ],
    );
    expect(configured([{ type: "tcp" }], { damping: 4 })?.checks).toMatchObject([{ damping: 4 }]);
  });

  test("the originals' times for http make up its one", () => {
    const check = { type: "http", timeout: 1, read_timeout: 2, open_timeout: 0.2 };
    expect(configured([check])?.checks).toMatchObject([{ timeoutMs: 2_200 }]);
  });

  test("only plain http makes an http service", () => {
    expect(configured([{ type: "http" }])?.instance.mode).toBe("http");
    expect(configured([{ type: "http", ssl: true }])?.instance.mode).toBe("tcp");
    expect(configured([{ type: "https" }])?.instance.mode).toBe("tcp");
    expect(configured([{ type: "postgres" }])?.instance.mode).toBe("tcp");
  });
});

import { describe, expect, test } from "vitest";
import { type AddressPolicy, chooseAddress } from "./addresses.ts";
import { type ContainerFacts, containerFacts } from "./containers.ts";
import type { Reach } from "./reach.ts";

const addresses = new Set(["127.0.0.1", "::1", "10.0.0.7", "fd00::7", "host-a", "localhost"]);
const ON_HOST: Reach = { kind: "host", subnets: [{ address: "172.16.0.0", prefix: 12 }], addresses };
const DESKTOP: Reach = { kind: "host", subnets: [{ address: "192.168.65.0", prefix: 24 }], addresses };
const IN_CONTAINER: Reach = { kind: "container", networks: new Set(["back-id"]) };
const REMOTE: Reach = { kind: "remote", host: "10.0.0.8" };
const PORT = { port: 80, protocol: "tcp" } as const;

const LOCAL: AddressPolicy = {
  shared: false,
  mode: "auto",
  network: undefined,
  advertise: undefined,
  sourceAddress: undefined,
  reach: ON_HOST,
};
const SHARED: AddressPolicy = { ...LOCAL, shared: true, sourceAddress: "10.0.0.7" };

interface Shape {
  readonly networks?: Record<string, string>;
  readonly published?: readonly string[];
  readonly mode?: string;
  readonly labels?: Record<string, string>;
}

/** published: "ip:port" of container port 80. */
function container({
  networks = { bridge: "172.17.0.2" },
  published = [],
  mode = "default",
  labels = {},
}: Shape = {}): ContainerFacts {
  const bindings = published.map((text) => {
    const at = text.lastIndexOf(":");
    return { HostIp: text.slice(0, at), HostPort: text.slice(at + 1) };
  });
  return containerFacts({
    Id: "c".repeat(64),
    Config: { Labels: labels },
    HostConfig: { NetworkMode: mode },
    NetworkSettings: {
      Ports: { "80/tcp": bindings },
      Networks: Object.fromEntries(
        Object.entries(networks).map(([name, ip]) => [
          name,
          { NetworkID: `${name}-id`.padEnd(7, "x"), [ip.includes(":") ? "GlobalIPv6Address" : "IPAddress"]: ip },
        ]),
      ),
    },
  });
}

function choose(shape: Shape, policy: AddressPolicy): string {
  const choice = chooseAddress(container(shape), PORT, policy);
  if ("refused" in choice) return `refused: ${choice.refused}`;
  const probe =
    choice.probe === undefined
      ? "none"
      : `${choice.probe.host}:${choice.probe.port}${choice.probe.published ? " published" : ""}`;
  return `${choice.host}:${choice.port} probe ${probe}`;
}

describe("a registry that only this machine reads", () => {
  test.each<[string, Shape, Partial<AddressPolicy>, string]>([
    ["its own address", {}, {}, "172.17.0.2:80 probe 172.17.0.2:80"],
    ["its own address, published or not", { published: ["0.0.0.0:32768"] }, {}, "172.17.0.2:80 probe 172.17.0.2:80"],
    [
      "the first reachable network by name",
      { networks: { z: "172.20.0.2", a: "10.1.0.2", m: "172.19.0.2" } },
      {},
      "172.19.0.2:80 probe 172.19.0.2:80",
    ],
    [
      "Docker Desktop: the published port",
      { published: ["0.0.0.0:32768"] },
      { reach: DESKTOP },
      "127.0.0.1:32768 probe 127.0.0.1:32768 published",
    ],
    [
      "Docker Desktop, the container's own asked for",
      { published: ["0.0.0.0:32768"] },
      { reach: DESKTOP, mode: "container" },
      "172.17.0.2:80 probe none",
    ],
    ["Docker Desktop, unpublished: not reachable", {}, { reach: DESKTOP }, "172.17.0.2:80 probe none"],
    [
      "nerve in a container: the common network",
      { networks: { a: "172.17.0.2", back: "172.18.0.2" } },
      { reach: IN_CONTAINER },
      "172.18.0.2:80 probe 172.18.0.2:80",
    ],
    [
      "nerve in a container without a common network",
      { published: ["0.0.0.0:32768"] },
      { reach: IN_CONTAINER },
      "172.17.0.2:80 probe none",
    ],
    [
      "the network asked for",
      { networks: { a: "172.17.0.2", b: "172.18.0.2" } },
      { network: "b" },
      "172.18.0.2:80 probe 172.18.0.2:80",
    ],
    [
      "its compose name",
      { networks: { a: "172.17.0.2", shop_b: "172.18.0.2" }, labels: { "com.docker.compose.project": "shop" } },
      { network: "b" },
      "172.18.0.2:80 probe 172.18.0.2:80",
    ],
    [
      "its id",
      { networks: { a: "172.17.0.2", "long-named-net": "172.18.0.2" } },
      { network: "long-named-n" },
      "172.18.0.2:80 probe 172.18.0.2:80",
    ],
    [
      "the whole name before one with the project before it",
      { networks: { b: "172.17.0.2", shop_b: "172.18.0.2" }, labels: { "com.docker.compose.project": "shop" } },
      { network: "b" },
      "172.17.0.2:80 probe 172.17.0.2:80",
    ],
    [
      "a network without IPv4",
      { networks: { six: "fd00::2" } },
      { reach: { kind: "host", subnets: [{ address: "fd00::", prefix: 64 }], addresses } },
      "fd00::2:80 probe fd00::2:80",
    ],
    [
      "swarm's ingress network is no place, though it is the first by name",
      { networks: { ingress: "172.17.0.2", mine: "172.18.0.2" } },
      {},
      "172.18.0.2:80 probe 172.18.0.2:80",
    ],
    [
      "Docker Desktop, published on IPv6 only",
      { published: [":::32768"] },
      { reach: DESKTOP },
      "::1:32768 probe ::1:32768 published",
    ],
    [
      "Docker Desktop, but its own address was asked for",
      { published: ["0.0.0.0:32768"] },
      { reach: DESKTOP, mode: "container" },
      "172.17.0.2:80 probe none",
    ],
    [
      "an address it is bound to counts, the loopback too",
      { published: ["127.0.0.5:8081"] },
      { mode: "host" },
      "127.0.0.5:8081 probe 172.17.0.2:80",
    ],
    [
      "a single address before the loopback",
      { published: ["127.0.0.5:1", "192.168.0.9:2"] },
      { mode: "host" },
      "192.168.0.9:2 probe 172.17.0.2:80",
    ],
    [
      "host addresses when asked for",
      { published: ["0.0.0.0:32768"] },
      { mode: "host" },
      "127.0.0.1:32768 probe 172.17.0.2:80",
    ],
    ["host network", { mode: "host", networks: {} }, {}, "127.0.0.1:80 probe 127.0.0.1:80"],
  ])("%s", (_, shape, policy, expected) => {
    expect(choose(shape, { ...LOCAL, ...policy })).toBe(expected);
  });

  test.each<[string, Shape, Partial<AddressPolicy>, RegExp]>([
    ["a network it is not on", { networks: { a: "172.17.0.2" } }, { network: "b" }, /not on network b, but on a/],
    ["no network", { networks: {}, mode: "none" }, {}, /no network/],
    ["less than twelve digits of an id", {}, { network: "bridge-i" }, /not on network bridge-i/],
    ["on swarm's ingress only", { networks: { ingress: "172.17.0.2" } }, {}, /no address on any network/],
    [
      "swarm's ingress, asked for,",
      { networks: { ingress: "172.17.0.2", mine: "172.18.0.2" } },
      { network: "ingress" },
      /network ingress is swarm's own/,
    ],
    ["not attached yet", { networks: { a: "" } }, {}, /no address on any network/],
    ["host network, nerve in a container", { mode: "host" }, { reach: IN_CONTAINER }, /set docker.advertise/],
  ])("%s is refused", (_, shape, policy, reason) => {
    expect(choose(shape, { ...LOCAL, ...policy })).toMatch(reason);
  });
});

describe("a registry that other machines read", () => {
  test.each<[string, Shape, Partial<AddressPolicy>, string]>([
    [
      "the published port at docker.advertise",
      { published: ["0.0.0.0:32768"] },
      { advertise: "host-a" },
      "host-a:32768 probe 172.17.0.2:80",
    ],
    ["without it the route's own address", { published: ["0.0.0.0:32768"] }, {}, "10.0.0.7:32768 probe 172.17.0.2:80"],
    [
      "published on all IPv6 addresses only, and reached by IPv6",
      { published: [":::32768"] },
      { advertise: "fd00::7" },
      "fd00::7:32768 probe 172.17.0.2:80",
    ],
    [
      "published on both, apart: the one of the advertised family",
      { published: ["0.0.0.0:1", ":::2"] },
      { advertise: "fd00::7" },
      "fd00::7:2 probe 172.17.0.2:80",
    ],
    [
      "on the loopback and elsewhere: elsewhere",
      { published: ["127.0.0.1:1", "10.0.0.9:2", ":::3"] },
      {},
      "10.0.0.9:2 probe 172.17.0.2:80",
    ],
    [
      "bound to one address of the host",
      { published: ["10.0.0.9:8080"] },
      { advertise: "10.0.0.7" },
      "10.0.0.9:8080 probe 172.17.0.2:80",
    ],
    [
      "several bindings: all-interfaces IPv4, the lowest port",
      { published: ["::1:70", ":::1", "10.0.0.9:60", "0.0.0.0:9081", "0.0.0.0:8081"] },
      {},
      "10.0.0.7:8081 probe 172.17.0.2:80",
    ],
    [
      "unreachable for nerve: probed where it is published",
      { published: ["0.0.0.0:32768"], networks: { o: "10.5.0.2" } },
      {},
      "10.0.0.7:32768 probe 10.0.0.7:32768 published",
    ],
    [
      "on the loopback only if docker.advertise says so",
      { published: ["0.0.0.0:32768"] },
      { advertise: "127.0.0.1" },
      "127.0.0.1:32768 probe 172.17.0.2:80",
    ],
    [
      "container addresses on the network asked for",
      { networks: { o: "10.5.0.2" } },
      { mode: "container", network: "o" },
      "10.5.0.2:80 probe none",
    ],
    ["host network: probed where it is announced", { mode: "host" }, {}, "10.0.0.7:80 probe 10.0.0.7:80"],
    ["host network, this host's name", { mode: "host" }, { advertise: "Host-A" }, "Host-A:80 probe Host-A:80"],
    ["host network, IPv6", { mode: "host" }, { advertise: "fd00::7" }, "fd00::7:80 probe fd00::7:80"],
    [
      "host network, behind an address that this host does not have",
      { mode: "host" },
      { advertise: "192.0.2.1" },
      "192.0.2.1:80 probe 127.0.0.1:80",
    ],
    [
      "host network, nerve in a container",
      { mode: "host" },
      { reach: IN_CONTAINER, advertise: "10.0.0.7" },
      "10.0.0.7:80 probe 10.0.0.7:80",
    ],
    [
      "nerve in a container with docker.advertise",
      { published: ["0.0.0.0:32768"] },
      { reach: IN_CONTAINER, advertise: "10.0.0.7" },
      "10.0.0.7:32768 probe 10.0.0.7:32768 published",
    ],
  ])("%s", (_, shape, policy, expected) => {
    expect(choose(shape, { ...SHARED, ...policy })).toBe(expected);
  });

  test.each<[string, Shape, Partial<AddressPolicy>, RegExp]>([
    ["unpublished", {}, {}, /port 80\/tcp is not published/],
    ["published on the loopback", { published: ["127.0.0.1:8080"] }, {}, /published on 127.0.0.1 only/],
    [
      "published on the loopback, whatever is advertised",
      { published: ["127.0.0.1:8080"] },
      { advertise: "10.0.0.7" },
      /published on 127.0.0.1 only/,
    ],
    [
      "nerve in a container without docker.advertise",
      { published: ["0.0.0.0:1"] },
      { reach: IN_CONTAINER },
      /set docker.advertise/,
    ],
    [
      "a registry on this machine",
      { published: ["0.0.0.0:1"] },
      { sourceAddress: "127.0.0.1" },
      /set docker.advertise/,
    ],
    [
      "published on all IPv6 addresses only, and reached by IPv4",
      { published: [":::32768"] },
      {},
      /published on :: only, which 10.0.0.7 .* does not reach/,
    ],
    [
      "published on all IPv4 addresses only, and reached by IPv6",
      { published: ["0.0.0.0:1"] },
      { advertise: "fd00::7" },
      /published on 0.0.0.0 only, which fd00::7/,
    ],
    ["no route yet", { published: ["0.0.0.0:1"] }, { sourceAddress: undefined }, /not known yet/],
    ["no route", { published: ["0.0.0.0:1"] }, { sourceAddress: false }, /no route to the registry .*docker.advertise/],
    [
      "an engine by a name, which may be a socket proxy's",
      { published: ["0.0.0.0:1"] },
      { reach: { kind: "remote", host: "socket-proxy" } },
      /its name socket-proxy, .*set docker.advertise/,
    ],
    ["container addresses without a network", {}, { mode: "container" }, /need docker.network/],
  ])("%s is refused", (_, shape, policy, reason) => {
    expect(choose(shape, { ...SHARED, ...policy })).toMatch(reason);
  });
});

describe("an engine on another machine, whatever the registry", () => {
  const on = (shape: Shape, policy: Partial<AddressPolicy> = {}) => [
    choose(shape, { ...LOCAL, reach: REMOTE, ...policy }),
    choose(shape, { ...SHARED, reach: REMOTE, ...policy }),
  ];

  test.each<[string, Shape, Partial<AddressPolicy>, string]>([
    ["published: at the engine", { published: ["0.0.0.0:32768"] }, {}, "10.0.0.8:32768 probe 10.0.0.8:32768 published"],
    ["or at docker.advertise", { published: ["0.0.0.0:1"] }, { advertise: "pub" }, "pub:1 probe pub:1 published"],
    ["host network", { mode: "host" }, {}, "10.0.0.8:80 probe 10.0.0.8:80"],
    [
      "container addresses where asked for, though its networks look like this machine's",
      { networks: { over: "172.17.0.2" } },
      { mode: "container", network: "over" },
      "172.17.0.2:80 probe none",
    ],
  ])("%s", (_, shape, policy, expected) => {
    expect(on(shape, policy)).toEqual([expected, expected]);
  });

  test.each<[string, Shape, RegExp]>([
    ["unpublished", {}, /is not published/],
    ["published on its loopback", { published: ["127.0.0.1:1"] }, /published on 127.0.0.1 only/],
  ])("%s is refused", (_, shape, reason) => {
    for (const answer of on(shape)) expect(answer).toMatch(reason);
  });
});

// The cases of traefik's option useBindPortIP, for port 80 at docker.advertise 10.0.0.7.
describe("which -p counts", () => {
  test.each<[string, readonly string[], string]>([
    ["none", [], "refused: port 80/tcp is not published"],
    ["80", ["0.0.0.0:32768", ":::32768"], "10.0.0.7:32768"],
    ["an explicit address", ["10.0.0.9:8081"], "10.0.0.9:8081"],
    ["an explicit loopback address", ["127.0.0.5:8081"], "refused: port 80/tcp is published on 127.0.0.5 only"],
    ["0.0.0.0", ["0.0.0.0:8081"], "10.0.0.7:8081"],
    ["an old engine's empty address", [":8081"], "10.0.0.7:8081"],
    ["[::]", [":::8081"], "refused: port 80/tcp is published on :: only"],
    ["two, the lowest", ["0.0.0.0:9081", "0.0.0.0:8081"], "10.0.0.7:8081"],
    ["two, explicit and wildcard", ["10.0.0.9:8081", "0.0.0.0:9081"], "10.0.0.7:9081"],
    ["8081:80, 9081:80 and [::1]:7081:80", ["::1:7081", "0.0.0.0:9081", "0.0.0.0:8081"], "10.0.0.7:8081"],
  ])("%s", (_, published, expected) => {
    const got = choose({ published }, { ...SHARED, advertise: "10.0.0.7" });
    expect(got.startsWith(expected), got).toBe(true);
  });

  test("another port than the one asked for, and the same number of UDP, are none", () => {
    for (const port of [
      { port: 81, protocol: "tcp" },
      { port: 80, protocol: "udp" },
    ] as const) {
      const choice = chooseAddress(container({ published: ["0.0.0.0:8081"] }), port, SHARED);
      expect(choice).toMatchObject({ refused: expect.stringMatching(/is not published/) });
    }
  });

  test("a port that is exposed but not published never gets the host's address", () => {
    const choice = choose({ networks: { inside: "172.20.0.2" } }, LOCAL);
    expect(choice).toBe("172.20.0.2:80 probe 172.20.0.2:80");
  });
});

test("the order in which Docker lists things has no say", () => {
  const networks = { a: "172.17.0.2", b: "172.18.0.2", c: "172.19.0.2" };
  const published = ["0.0.0.0:3", "0.0.0.0:2", "10.0.0.9:1"];
  const reversed = Object.fromEntries(Object.entries(networks).reverse());
  for (const policy of [LOCAL, SHARED]) {
    expect(choose({ networks, published }, policy)).toBe(
      choose({ networks: reversed, published: [...published].reverse() }, policy),
    );
  }
});

import {
  type BackendStatus,
  type ContainerStatus,
  NO_BACKEND_COUNTERS,
  NO_SERVICE_COUNTERS,
  type RegistrationStatus,
  type RegistryStatus,
  type ServiceStatus,
  type StackStatus,
} from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { explain, type Known } from "./explain.ts";

const ID = "0123456789ab".padEnd(64, "0");
const REGISTRATION: RegistrationStatus = {
  service: "web",
  id: "0123456789ab-80",
  namedBy: "label smartstack.service=web",
  address: "10.0.0.1:80",
  addressReason: "its own address on network bridge",
  otherAddresses: ["published as 32768: not needed"],
  check: "http 10.0.0.1:80/health",
  health: "up",
  state: "up",
  announced: true,
  reason: "200",
  output: "fine",
  sinceMs: 1_000,
};
const CONTAINER: ContainerStatus = {
  id: ID,
  name: "shop-web-1",
  image: "nginx",
  running: true,
  registrations: [REGISTRATION],
  asks: ["web"],
  refusals: [],
  warnings: [],
};
const BACKEND: BackendStatus = {
  id: "0123456789ab-80",
  address: "10.0.0.1:80",
  weight: 1,
  effectiveWeight: 1,
  state: "up",
  suspect: false,
  health: "up",
  usable: true,
  reason: "up",
  sinceMs: 2_000,
  container: "0123456789ab",
  counters: { ...NO_BACKEND_COUNTERS, connections: 1, requests: 7, failures: 2 },
};
const WEB: ServiceStatus = {
  name: "web",
  mode: "http",
  listeners: [{ address: "127.0.0.1:3000", state: "bound" }],
  backends: [BACKEND],
  problems: [],
  counters: {
    ...NO_SERVICE_COUNTERS,
    connections: 1,
    requests: 7,
    responses: [0, 0, 7, 0, 0, 0],
  },
};
const ETCD: RegistryStatus = {
  type: "etcd",
  target: "10.0.0.9:2379",
  connected: true,
  sinceMs: 0,
  counters: { loads: 0, batches: 0, writes: 0, writeFailures: 0 },
};
const STATUS: StackStatus = {
  role: "up",
  version: "1",
  startedMs: 0,
  registries: [ETCD],
  readiness: [],
  unseen: [],
};

function lines(name: string, known: Partial<Known> = {}): readonly string[] {
  return explain(name, { status: STATUS, services: [WEB], containers: [CONTAINER], ...known }).lines;
}

function withRegistration(change: Partial<RegistrationStatus>): Partial<Known> {
  return { containers: [{ ...CONTAINER, registrations: [{ ...REGISTRATION, ...change }] }] };
}

describe("a container", () => {
  it.each(["shop-web-1", "0123456789ab-80", "01234567", ID])("%s is explained from its labels to the proxy", (name) => {
    expect(lines(name)).toEqual([
      "container shop-web-1 (0123456789ab, image nginx), running",
      "  offers web as 0123456789ab-80",
      "    named by  label smartstack.service=web",
      "    address   10.0.0.1:80: its own address on network bridge",
      "      not     published as 32768: not needed",
      "    check     http 10.0.0.1:80/health: up since 1970-01-01T00:00:01Z: 200",
      "      output  fine",
      "    registry  announced as up in etcd (10.0.0.9:2379), under web/0123456789ab-80",
      "    proxy     listens on 127.0.0.1:3000",
      "    proxy     gets traffic since 1970-01-01T00:00:02Z: up; served 7, failures 2",
    ]);
  });

  it("is not announced while its check fails, and no proxy knows it", () => {
    const text = lines("shop-web-1", { ...withRegistration({ announced: false, health: "down" }), services: [] });
    expect(text).toContain("    registry  not announced in etcd (10.0.0.9:2379): its check is down");
    expect(text).toContain("    proxy     it is not announced, so no proxy knows it");
  });

  it("waits for a registry that is away", () => {
    const status = { ...STATUS, registries: [{ ...ETCD, connected: false, lastError: "refused" }] };
    expect(lines("shop-web-1", { ...withRegistration({ announced: false }), status })).toContain(
      "    registry  not announced in etcd (10.0.0.9:2379) yet; it is away: refused",
    );
  });

  it.each([
    [{ services: [] }, "    proxy     web is not served here: see synapse.discover and synapse.services"],
    [{ services: [{ ...WEB, backends: [] }] }, "    proxy     the registry has not told of it yet"],
    [{ services: [{ ...WEB, listeners: [] }] }, "    proxy     has no listener"],
    [{ services: [{ ...WEB, problems: ["port 80 is taken"] }] }, "    proxy     port 80 is taken"],
    [
      {
        services: [
          { ...WEB, listeners: [{ address: "127.0.0.1:80", state: "failed" as const, reason: "EADDRINUSE" }] },
        ],
      },
      "    proxy     does not listen (failed) on 127.0.0.1:80: EADDRINUSE",
    ],
    [
      {
        services: [
          { ...WEB, backends: [{ ...BACKEND, usable: false, reason: "draining", local: "draining" as const }] },
        ],
      },
      "    proxy     gets no traffic since 1970-01-01T00:00:02Z: draining, set to draining at this proxy; served 7, failures 2",
    ],
    [
      { status: { ...STATUS, role: "nerve" as const } },
      "    proxy     none in this process: ask a synapse (port 3210 by default)",
    ],
  ])("says why it is or is not routed: case %#", (known, line) => {
    expect(lines("shop-web-1", known)).toContain(line);
  });

  it("is not registered, and why", () => {
    const paused = { ...CONTAINER, running: false, registrations: [], refusals: ["paused"], warnings: ["odd label"] };
    expect(lines("shop-web-1", { containers: [paused], services: [] })).toEqual([
      "container shop-web-1 (0123456789ab, image nginx), not running: not registered as web",
      "  because   paused",
      "  warning   odd label",
    ]);
    const ignored = { ...CONTAINER, registrations: [], asks: [], ignored: "no label" };
    expect(lines("shop-web-1", { containers: [ignored], services: [] })).toEqual([
      "container shop-web-1 (0123456789ab, image nginx), running: not registered: no label",
    ]);
  });
});

describe("a service", () => {
  it("is explained first, with all of its instances, then whoever offers it or asks for it in vain", () => {
    const refused = {
      ...CONTAINER,
      id: "ab".repeat(32),
      name: "other",
      registrations: [],
      refusals: ["several ports"],
    };
    const remote = { ...BACKEND, id: "fedcba987654-80", container: "fedcba987654", node: "node-b" };
    const services = [{ ...WEB, backends: [BACKEND, remote] }];
    const text = lines("web", { containers: [CONTAINER, refused], services });
    expect(text.slice(0, 4)).toEqual([
      "service web (http)",
      "  proxy     listens on 127.0.0.1:3000",
      "  backend   0123456789ab-80 at 10.0.0.1:80: gets traffic since 1970-01-01T00:00:02Z: up; served 7, failures 2",
      "  backend   fedcba987654-80 at 10.0.0.1:80, node node-b: gets traffic since 1970-01-01T00:00:02Z: up; served 7, failures 2",
    ]);
    expect(text).toContain("container shop-web-1 (0123456789ab, image nginx), running");
    expect(text).toContain("  because   several ports");
  });

  it("without instances says so", () => {
    expect(lines("web", { containers: [], services: [{ ...WEB, backends: [] }] })).toContain(
      "  backend   none: no instance of it is announced",
    );
  });

  it("with a time that is none is explained all the same", () => {
    const services = [{ ...WEB, backends: [{ ...BACKEND, sinceMs: 1e300 }] }];
    expect(lines("web", { services }).join("\n")).toContain("gets traffic since an unknown time");
  });
});

it("an instance of another node is explained without its container", () => {
  const remote = { ...BACKEND, id: "fedcba987654-80", container: "fedcba987654" };
  const text = lines("fedcba98", { services: [{ ...WEB, backends: [BACKEND, remote] }] });
  expect(text.filter((line) => line.startsWith("  backend"))).toEqual([
    expect.stringMatching(/^ {2}backend {3}fedcba987654-80 at/),
  ]);
});

it("what is not found may be misspelt, out of sight, or not known yet", () => {
  const readiness = [
    { part: "docker", ready: false, reason: "cannot reach it" },
    { part: "announce", ready: true, reason: "connected" },
  ];
  const status = { ...STATUS, unseen: ["docker.filter takes only some"], readiness };
  const { found, lines: said } = explain("wbe", { status, services: [WEB], containers: [] });
  expect(found).toBe(false);
  expect(said).toEqual([
    expect.stringMatching(/^nothing here is called wbe: .*; did you mean web\?$/),
    "  docker.filter takes only some",
    "  docker: cannot reach it",
  ]);
});

import {
  type ContainerStatus,
  NO_BACKEND_COUNTERS,
  NO_SERVICE_COUNTERS,
  type RegistrationStatus,
  type RegistryStatus,
  type ServiceStatus,
  type StackStatus,
} from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { wrap } from "./lines.ts";
import { statusLines } from "./status-lines.ts";

const PROCESS: StackStatus = { role: "up", version: "1", startedMs: 0, registries: [], readiness: [], unseen: [] };
const REGISTRATION: RegistrationStatus = {
  service: "web",
  id: "0123456789ab-80",
  namedBy: "label smartstack.service=web; port 80/tcp: its only TCP port",
  address: "172.17.0.2:80",
  addressReason: "its own address on network bridge; the registry is read on this machine only",
  otherAddresses: [],
  check: "http 172.17.0.2:80/health",
  health: "up",
  state: "up",
  announced: true,
  reason: "200",
  sinceMs: 0,
};
const REGISTRY: RegistryStatus = {
  type: "etcd",
  target: "10.0.0.1:2379",
  connected: true,
  sinceMs: 62_300,
  stalenessMs: 1_240,
  revision: 77,
  session: "lease 1f",
  counters: { loads: 1, batches: 1, writes: 0, writeFailures: 0 },
};
const GOOD: ContainerStatus = {
  id: "0123456789ab",
  name: "good",
  running: true,
  registrations: [REGISTRATION],
  asks: ["web"],
  refusals: [],
  warnings: [],
};
const REFUSED: ContainerStatus = { ...GOOD, name: "a-bad-one", registrations: [], refusals: ["several ports"] };
const IGNORED: ContainerStatus = { ...GOOD, registrations: [], asks: [], ignored: "no label names it" };

function lines(containers: readonly ContainerStatus[], services: readonly ServiceStatus[] = []): readonly string[] {
  return statusLines({ process: PROCESS, services, containers }).slice(2);
}

describe("a registry", () => {
  const of = (registry: RegistryStatus): string | undefined =>
    statusLines({ process: { ...PROCESS, registries: [registry] }, services: [], containers: [] })[1];

  it("says how fresh what is known of it is", () => {
    const { revision: _, session: __, ...bare } = REGISTRY;
    expect(of(REGISTRY)).toBe(
      "registry etcd (10.0.0.1:2379): connected for 62.3 s, seen 1.2 s ago, revision 77, lease 1f",
    );
    expect(of(bare)).toBe("registry etcd (10.0.0.1:2379): connected for 62.3 s, seen 1.2 s ago");
  });

  it("says since when it is away, and why", () => {
    const away = { ...REGISTRY, connected: false };
    const { stalenessMs: _, ...never } = away;
    expect(of({ ...away, lastError: "refused" })).toMatch(/: away for 62.3 s, seen 1.2 s ago: refused$/);
    expect(of(never)).toMatch(/: away for 62.3 s, never seen: no reason given$/);
  });
});

describe("containers", () => {
  it("have a row each, the reasons below it, and those with a problem last", () => {
    const warned = { ...GOOD, name: "good-10", warnings: ["odd label"] };
    expect(lines([REFUSED, warned, { ...GOOD, name: "good-9" }])).toEqual([
      "3 containers: 2 registered, 1 not fully registered",
      "",
      "CONTAINER  STATE           SERVICE  ADDRESS        CHECK",
      "good-9     up              web      172.17.0.2:80  http /health: 200",
      "  address: its own address on network bridge; the registry is read on this machine only",
      "  named by label smartstack.service=web; port 80/tcp: its only TCP port",
      "good-10    up              web      172.17.0.2:80  http /health: 200",
      "  address: its own address on network bridge; the registry is read on this machine only",
      "  named by label smartstack.service=web; port 80/tcp: its only TCP port",
      "  warning: odd label",
      "a-bad-one  not registered  web      -              -",
      "  not registered: several ports",
    ]);
  });

  it.each([
    [{ health: "down", announced: false, reason: "refused", output: "boom" }, "down", "  last output: boom"],
    [{ health: "starting", announced: false }, "starting", ""],
    [{ announced: false }, "unannounced", ""],
    [{ state: "draining" }, "draining", ""],
  ] as const)("%j", (change, state, line) => {
    const text = lines([{ ...GOOD, registrations: [{ ...REGISTRATION, ...change }] }]).join("\n");
    expect(text).toMatch(new RegExp(`^good +${state} +web`, "m"));
    expect(text).toContain(line);
  });

  it("that do not run are told from those that are refused", () => {
    expect(lines([{ ...REFUSED, running: false, refusals: ["paused"] }]).join("\n")).toMatch(
      /a-bad-one +not running +web +- +-\n {2}not registered: paused$/,
    );
  });

  it("that ask for nothing are named behind the reason they share", () => {
    const other = { ...IGNORED, name: "other", ignored: "smartstack.ignore is set" };
    expect(lines([IGNORED, { ...IGNORED, name: "also" }, other])).toEqual([
      "3 containers: 3 left alone",
      "",
      "left alone, not registered:",
      "  no label names it: also, good",
      "  smartstack.ignore is set: other",
    ]);
  });

  it("fit into 100 columns, fifty of them, each with its name on a line of its own", () => {
    const many = Array.from({ length: 50 }, (_, i): ContainerStatus => {
      const registration = { ...REGISTRATION, service: "shop-checkout", address: `10.213.104.${i + 100}:32768` };
      return {
        ...GOOD,
        name: `shop_checkout_${i}`,
        registrations: [{ ...registration, check: `tcp ${registration.address}` }],
      };
    });
    const shown = lines(many).flatMap((line) => wrap(line, 100));
    expect(Math.max(...shown.map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(shown.filter((line) => line.startsWith("shop_checkout_"))).toHaveLength(50);
    expect(shown).toHaveLength(3 + 3 * 50);
  });
});

it("services stand apart, and their backends line up", () => {
  const counters = { ...NO_BACKEND_COUNTERS, requests: 7 };
  const backend = {
    id: "0123456789ab-80",
    address: "172.17.0.2:80",
    weight: 1,
    effectiveWeight: 1,
    state: "up",
    suspect: false,
    health: "up",
    usable: true,
    reason: "up",
    sinceMs: 0,
    counters,
  } as const;
  const web: ServiceStatus = {
    name: "web",
    mode: "http",
    listeners: [{ address: "127.0.0.1:80", state: "failed", reason: "EACCES" }],
    backends: [backend, { ...backend, id: "b", usable: false, reason: "draining", local: "draining" }],
    problems: ["port 80 is low"],
    stale: { sinceMs: 0, reason: "the registry is away" },
    counters: {
      ...NO_SERVICE_COUNTERS,
      requests: 7,
      responses: [],
    },
  };
  expect(lines([], [web, { ...web, name: "db", listeners: [], backends: [], problems: [] }])).toEqual([
    "web (http) listens on 127.0.0.1:80 (EACCES): 1 of 2 backends usable",
    "  0123456789ab-80  172.17.0.2:80  usable      7 served  up",
    "  b                172.17.0.2:80  not usable  7 served  draining (local: draining)",
    "  problem: port 80 is low",
    "  problem: stale: the registry is away",
    "",
    "db (http) has no listener: no backend",
    "  problem: stale: the registry is away",
  ]);
});

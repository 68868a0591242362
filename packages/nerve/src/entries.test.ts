import type { Instance } from "@smartstack/core";
import { describe, expect, test } from "vitest";
import type { Tracked } from "./container-table.ts";
import { containerFacts } from "./containers.ts";
import type { Judged } from "./docker-source.ts";
import { type EntryFacts, keepsEntry, mayComeBack, withdrawalReason } from "./entries.ts";
import type { HealthState } from "./health.ts";
import type { Registration } from "./registrations.ts";

const CONTAINER = "0123456789ab";
const KEY = `web/${CONTAINER}-80`;
const ENTRY: Instance = { host: "172.17.0.2", port: 80, container: CONTAINER };

interface Shape {
  readonly entry?: Instance;
  readonly health?: HealthState;
  readonly tracked?: Partial<Tracked> | undefined;
  readonly listed?: boolean;
  readonly docker?: boolean;
  /** Its verdict waits for another container. */
  readonly pending?: true;
}

function facts({ entry = ENTRY, health, tracked, listed = true, docker = true, pending }: Shape): EntryFacts {
  const whole: Tracked | undefined = tracked && {
    id: CONTAINER.padEnd(64, "0"),
    facts: undefined,
    lifecycle: { phase: "in" },
    early: [],
    factsMs: 0,
    eventMs: 0,
    problem: undefined,
    ...tracked,
  };
  const offer = {
    service: "web",
    id: `${CONTAINER}-80`,
    instance: ENTRY,
    namedBy: "",
    addressReason: "",
    otherAddresses: [],
    checks: [],
  };
  const registration: Registration | undefined = health && {
    key: KEY,
    offer,
    container: CONTAINER,
    probers: [],
    health,
    reason: `check says ${health}`,
    sinceMs: 0,
    fellMs: undefined,
  };
  const verdict = { offers: [], asks: [], refusals: [], warnings: [], ...(pending && { pending }) };
  const judged = new Map<string, Judged>(whole && [[whole.id, { tracked: whole, out: undefined, verdict }]]);
  return {
    entries: new Map([[KEY, entry]]),
    registrations: new Map(registration === undefined ? [] : [[KEY, registration]]),
    source: docker ? { find: () => whole, listed: () => listed, judged: () => judged } : undefined,
  };
}

describe("an entry that an earlier run left", () => {
  test.each<[string, Shape, boolean]>([
    ["before the engine's first list", { listed: false }, true],
    ["its container does not exist", {}, false],
    ["its container runs, not inspected yet", { tracked: {} }, true],
    [
      "its container was sent its stop signal before that",
      { tracked: { lifecycle: { phase: "out", reason: "x", atMs: 0 } } },
      false,
    ],
    ["its container offers nothing", { tracked: { facts: containerFacts({}) } }, false],
    [
      "its container uses the network of one that is not inspected yet",
      { tracked: { facts: containerFacts({ State: { Running: true } }) }, pending: true },
      true,
    ],
    [
      "its container does not run, whatever else is not known",
      { tracked: { facts: containerFacts({}) }, pending: true },
      false,
    ],
    ["its check has not concluded", { tracked: {}, health: "starting" }, true],
    ["its check has failed", { tracked: {}, health: "down" }, false],
    [
      "the container has another address now",
      { tracked: {}, health: "starting", entry: { ...ENTRY, host: "172.17.0.9" } },
      false,
    ],
    ["Docker was switched off", { docker: false }, false],
    ["it is of a service no longer configured", { entry: { host: "h", port: 80 } }, false],
    [
      "it is of a configured service, not concluded",
      { docker: false, health: "starting", entry: { host: "172.17.0.2", port: 80 } },
      true,
    ],
  ])("%s", (_, shape, kept) => {
    expect(keepsEntry(KEY, facts(shape))).toBe(kept);
  });

  test("that is not there is not kept", () => {
    expect(keepsEntry("web/other-80", facts({}))).toBe(false);
  });
});

test.each<[string, Shape]>([
  ["check says down", { health: "down" }],
  ["its address has changed", { health: "starting" }],
  ["its container is gone", {}],
  ["sent signal 15", { tracked: { lifecycle: { phase: "out", reason: "sent signal 15", atMs: 0 } } }],
  ["not running: exited", { tracked: { facts: containerFacts({ State: { Status: "exited" } }) } }],
  ["no longer offered", { tracked: { facts: containerFacts({ State: { Status: "running", Running: true } }) } }],
  ["no longer in the configuration", { entry: { host: "h", port: 1 } }],
])("withdrawn: %s", (reason, shape) => {
  expect(withdrawalReason(KEY, facts(shape))).toBe(reason);
});

test("an operator's word outlives a pause, not its container", () => {
  expect(mayComeBack(KEY, facts({ tracked: {} }))).toBe(true);
  expect(mayComeBack(KEY, facts({ listed: false }))).toBe(true);
  expect(mayComeBack(KEY, facts({}))).toBe(false);
  expect(mayComeBack("web/node-a-80", facts({}))).toBe(true);
});

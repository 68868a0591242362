import { describe, expect, test } from "vitest";
import { hostId, type Tracked } from "./container-table.ts";
import { containerFacts } from "./containers.ts";
import { dependants, placeOf } from "./place.ts";

interface Shape {
  readonly mode?: string;
  readonly startedAt?: string;
  readonly ip?: string;
  readonly known?: boolean;
  readonly out?: string;
  readonly running?: boolean;
}

function facts(
  id: string,
  { mode = "net", startedAt = "2026-01-01T00:00:00.5Z", ip = "172.18.0.2", running = true }: Shape,
) {
  const own = mode.startsWith("container:") ? {} : { net: { NetworkID: "n", IPAddress: ip } };
  return containerFacts({
    Id: id,
    Name: `/${id}-name`,
    State: { Running: running, Status: running ? "running" : "exited", StartedAt: startedAt },
    Config: { Labels: { of: id } },
    HostConfig: { NetworkMode: mode },
    NetworkSettings: { Networks: own, Ports: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] } },
  });
}

function world(shapes: Readonly<Record<string, Shape>>): ReadonlyMap<string, Tracked> {
  return new Map(
    Object.entries(shapes).map(([id, shape]): [string, Tracked] => [
      id,
      {
        id,
        facts: shape.known === false ? undefined : facts(id, shape),
        lifecycle: shape.out === undefined ? { phase: "in" } : { phase: "out", reason: shape.out, atMs: 0 },
        early: [],
        factsMs: 0,
        eventMs: 0,
        problem: undefined,
      },
    ]),
  );
}

const APP: Shape = { mode: "container:sidecar", startedAt: "2026-01-01T00:00:01Z" };

function place(shapes: Readonly<Record<string, Shape>>) {
  const all = world({ app: APP, ...shapes });
  const app = all.get("app")?.facts;
  if (app === undefined) throw new Error("no app");
  return placeOf(app, (id) => all.get(id));
}

describe("the place of a container that uses another's network", () => {
  test("is the other's, with its own labels", () => {
    expect(place({ sidecar: { ip: "172.18.0.9" } })).toMatchObject({
      networkMode: "net",
      networks: [{ ip: "172.18.0.9" }],
      published: [{ hostPort: 8080 }],
      labels: { of: "app" },
    });
  });

  test("also over two hops, and on the host's network", () => {
    const shapes = { sidecar: { mode: "container:base", startedAt: "2026-01-01T00:00:00.7Z" }, base: { mode: "host" } };
    expect(place(shapes)).toMatchObject({ networkMode: "host" });
  });

  test.each<[string, Readonly<Record<string, Shape>>, RegExp, boolean]>([
    ["gone", {}, /^container sidecar, whose network it uses, is not known: it is gone, or docker.filter/, false],
    ["not inspected yet", { sidecar: { known: false } }, /is not inspected yet/, true],
    ["not inspected, and out", { sidecar: { known: false, out: "paused" } }, /is not known/, false],
    ["stopping", { sidecar: { out: "sent signal 15" } }, /^container sidecar-name, .* is out: sent signal 15/, false],
    ["not running", { sidecar: { running: false } }, /is out: not running: exited/, false],
    ["restarted after it", { sidecar: { startedAt: "2026-01-01T00:00:01.2Z" } }, /was restarted after it/, false],
    ["itself in a circle", { sidecar: { mode: "container:app" } }, /restarted after|more than/, false],
  ])("is none when the other is %s", (_, shapes, reason, pending) => {
    const found = place(shapes);
    expect(found).toMatchObject({ refused: expect.stringMatching(reason) });
    expect("pending" in found).toBe(pending);
  });
});

test("what a change of one concerns: all that use its network, in a circle too", () => {
  const all = world({
    base: {},
    one: { mode: "container:base" },
    two: { mode: "container:one" },
    three: { mode: "container:two" },
    other: {},
    unknown: { known: false },
  });
  const usersIn = (tracked: ReadonlyMap<string, Tracked>) => (id: string) =>
    [...tracked].filter(([, { facts: its }]) => its !== undefined && hostId(its) === id).map(([user]) => user);
  expect(dependants("base", usersIn(all))).toEqual(["one", "two", "three"]);
  expect(dependants("other", usersIn(all))).toEqual([]);
  const circle = world({ a: { mode: "container:b" }, b: { mode: "container:a" } });
  expect(dependants("a", usersIn(circle))).toEqual(["b"]);
});

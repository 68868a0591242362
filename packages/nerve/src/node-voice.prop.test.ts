import { eventBus, type Instance, type Registry, type Session, StackError } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { CheckSpec } from "./checks/index.ts";
import type { Tracked } from "./container-table.ts";
import { containerFacts, type EngineHealth } from "./containers.ts";
import type { DockerSource, Judged } from "./docker-source.ts";
import { nodeVoice } from "./node-voice.ts";
import type { Offer } from "./offers.ts";
import { registrations } from "./registrations.ts";
import { instanceStates } from "./states.ts";

const CHECK: CheckSpec = {
  type: "docker",
  host: "h",
  port: 1,
  options: {},
  published: false,
  intervalMs: 1_000,
  timeoutMs: 500,
  rise: 1,
  fall: 1,
  damping: undefined,
};
const SERVICES = ["web", "db"] as const;
const CONTAINERS = ["000000000000", "111111111111", "222222222222", "333333333333"] as const;

/** A registry that holds entries, counts what is written, and fails on demand. */
function fakeRegistry(entries: Map<string, Instance>) {
  let notify = (): void => undefined;
  let lost = new AbortController();
  let writes = 0;
  let failing = false;
  const write = async (work: () => void): Promise<void> => {
    if (failing) throw new StackError("REGISTRY_FAILED", "refused", { side: "registry", retry: "after-backoff" });
    writes++;
    work();
  };
  const registry = {
    type: "fake",
    async announce(_: unknown, restore: Parameters<Registry["announce"]>[1]): Promise<Session> {
      lost = new AbortController();
      for (const { service, id, instance } of restore) entries.set(`${service}/${id}`, instance);
      return {
        entries: () => entries,
        put: ({ service, id, instance }) => write(() => void entries.set(`${service}/${id}`, instance)),
        drop: (service, id) => write(() => void entries.delete(`${service}/${id}`)),
        onForeignChange(listener) {
          notify = listener;
        },
        lost: lost.signal,
        close: async () => undefined,
      };
    },
  } as unknown as Registry;
  return {
    registry,
    writes: () => writes,
    fail(on: boolean) {
      failing = on;
    },
    lose: () =>
      lost.abort(new StackError("REGISTRY_SESSION_LOST", "lost", { side: "registry", retry: "after-backoff" })),
    foreign(key: string, instance: Instance | undefined) {
      if (instance === undefined) entries.delete(key);
      else entries.set(key, instance);
      notify();
    },
  };
}

type Shape =
  | { readonly is: "gone" | "uninspected" | "paused" | "pending" }
  | { readonly is: "runs"; readonly health: EngineHealth; readonly services: readonly string[]; readonly port: number };

/** Containers as the Docker source judges them, with no engine behind. */
function fakeWorld(left: readonly string[], keep: boolean) {
  const clock = fakeClock();
  const random = seededRandom(1);
  const events = eventBus();
  const judged = new Map<string, Judged>();
  const healths = new Map<string, EngineHealth>();
  let listed = false;
  const config = { instance_id: undefined, on_all_down: keep ? ("keep" as const) : ("withdraw" as const) };
  const entries = new Map(
    left.map((container): [string, Instance] => [`web/${container}-80`, { host: "h", port: 80, container }]),
  );
  const fake = fakeRegistry(entries);
  const states = instanceStates(clock, (key) => voice.changed([key]));
  const table = registrations({
    clock,
    random,
    events,
    announced: (key) => voice.entries().has(key),
    engineVerdict: (id) => ({ health: healths.get(id), healthOutput: undefined }),
    onChange: (key) => voice.changed([key]),
  });
  const source = { find: (id: string) => judged.get(id)?.tracked, listed: () => listed, judged: () => judged };
  const voice = nodeVoice({
    ...{ registry: fake.registry, clock, random, events, table, states },
    source: () => source as unknown as DockerSource,
    config: () => config,
  });
  const shape = (id: string, now: Shape): void => {
    const offers = now.is === "runs" ? now.services.map((service) => offerOf(service, id, now.port)) : [];
    if (now.is === "runs") healths.set(id, now.health);
    if (now.is === "gone") judged.delete(id);
    else judged.set(id, judgedAs(id, now, offers));
    table.sync(id, offers);
    table.kick(id);
    voice.containerChanged(id);
  };
  return {
    ...{ clock, states, table, voice, fake, shape },
    /** As a check that is not the engine's: nothing is said about the container. */
    probe(id: string, health: EngineHealth) {
      healths.set(id, health);
      table.kick(id);
    },
    list() {
      listed = true;
      voice.allChanged();
    },
    stop: () => voice.stop("keep", () => false),
  };
}

function judgedAs(id: string, { is }: Shape, offers: readonly Offer[]): Judged {
  const facts = is === "uninspected" ? undefined : containerFacts({ Id: id, State: { Running: is !== "paused" } });
  const out = is === "paused" ? "paused" : undefined;
  const tracked: Tracked = {
    ...{ id, facts, early: [], factsMs: 0, eventMs: 0, problem: undefined },
    lifecycle: out === undefined ? { phase: "in" } : { phase: "out", reason: out, atMs: 0 },
  };
  const verdict = { offers, asks: [], refusals: [], warnings: [], ...(is === "pending" && { pending: true as const }) };
  return { tracked, out, verdict };
}

function offerOf(service: string, container: string, port: number): Offer {
  const instance: Instance = { host: "h", port, container };
  return {
    service,
    id: `${container}-80`,
    instance,
    namedBy: "",
    addressReason: "",
    otherAddresses: [],
    checks: [CHECK],
  };
}

const shapes: fc.Arbitrary<Shape> = fc.oneof(
  fc.record({ is: fc.constantFrom("gone" as const, "uninspected" as const, "paused" as const, "pending" as const) }),
  fc.record({
    is: fc.constant("runs" as const),
    health: fc.constantFrom("starting" as const, "healthy" as const, "unhealthy" as const),
    services: fc.subarray([...SERVICES]),
    port: fc.constantFrom(80, 81),
  }),
);
const health = fc.constantFrom("healthy" as const, "unhealthy" as const);
const container = fc.constantFrom(...CONTAINERS);
const key = fc.tuple(fc.constantFrom(...SERVICES), container).map(([service, id]) => `${service}/${id}-80`);
type Step = (world: ReturnType<typeof fakeWorld>) => unknown;
const common: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(container, shapes).map(
    ([id, now]): Step =>
      (world) =>
        world.shape(id, now),
  ),
  fc.tuple(container, health).map(
    ([id, now]): Step =>
      (world) =>
        world.probe(id, now),
  ),
  fc.tuple(key, fc.constantFrom("up" as const, "draining" as const)).map(
    ([at, state]): Step =>
      (world) => {
        if (world.table.all().has(at)) world.states.set(at, state, undefined);
      },
  ),
  fc.integer({ min: 1, max: 3_000 }).map(
    (ms): Step =>
      (world) =>
        world.clock.advance(ms),
  ),
);
const rare: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>((world) => world.list()),
  key.map(
    (at): Step =>
      (world) =>
        world.fake.foreign(at, undefined),
  ),
  fc.constant<Step>((world) => world.fake.lose()),
  fc.boolean().map(
    (on): Step =>
      (world) =>
        world.fake.fail(on),
  ),
);
const steps = fc.array(fc.oneof({ weight: 19, arbitrary: common }, { weight: 1, arbitrary: rare }), {
  minLength: 5,
  maxLength: 40,
  size: "max",
});
const start = fc.record({
  left: fc.subarray([...CONTAINERS]),
  keep: fc.boolean(),
  shapes: fc.array(shapes, { minLength: CONTAINERS.length, maxLength: CONTAINERS.length }),
});

test("looking only where something was said to have changed ends where looking everywhere ends", async () => {
  const property = fc.asyncProperty(start, steps, async (at, all) => {
    const world = fakeWorld(at.left, at.keep);
    CONTAINERS.forEach((id, index) => {
      world.shape(id, at.shapes[index] as Shape);
    });
    world.list();
    world.voice.begin("node");
    await world.clock.advance(1);
    for (const step of all) {
      await step(world);
      await world.clock.advance(0);
    }
    world.fake.fail(false);
    await world.clock.advance(120_000);
    const before = world.fake.writes();
    world.voice.allChanged();
    await world.clock.advance(1_000);
    expect(world.fake.writes() - before).toBe(0);
    await world.stop();
  });
  await fc.assert(property, { numRuns: 300 });
});

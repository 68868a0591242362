import { type Clock, eventBus, type StackEvent } from "@smartstack/core";
import { type FakeClock, fakeClock, seededRandom } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CloseOptions } from "../data-plane.ts";
import { ended, type Member } from "./member.ts";
import { createRoster, type Roster, type RosterOptions } from "./roster.ts";

/** A worker that does what the test says. */
interface Actor {
  readonly member: Member;
  readonly retirements: readonly CloseOptions[];
  killed(): boolean;
  serve(): void;
  refuse(error: Error): void;
  die(): void;
}

/** Keeps silence out of what a test looks at. */
const PATIENT = { silentMs: 1e9 };

let clock: FakeClock;
let events: StackEvent[];
let actors: Actor[];
let roster: Roster;

beforeEach(() => {
  clock = fakeClock();
  events = [];
  actors = [];
});

afterEach(async () => {
  roster.kill();
  const closed = roster.close({ graceMs: 0 });
  await clock.advance(1_000);
  await closed;
});

function actor(pid: number): Actor {
  const retirements: CloseOptions[] = [];
  let killed = false;
  let serve: () => void = () => undefined;
  let refuse: (error: Error) => void = () => undefined;
  let die: (how: string) => void = () => undefined;
  const gone = new Promise<string>((resolve) => {
    die = resolve;
  });
  const ready = new Promise<void>((resolve, reject) => {
    serve = resolve;
    refuse = reject;
    gone.then((how) => reject(ended(pid, how)));
  });
  const member = {
    pid,
    startedMs: 0,
    retired: false,
    settled: 0,
    clients: 0,
    give: () => undefined,
    heardMs: clock.monotonic(),
    reports: new Map(),
    send: () => undefined,
    retire(options: CloseOptions) {
      member.retired = true;
      retirements.push(options);
    },
    ready,
    gone,
    kill() {
      killed = true;
      die("signal SIGKILL");
    },
  };
  return {
    member,
    retirements,
    killed: () => killed,
    serve: () => serve(),
    refuse: (error) => refuse(error),
    die: () => die("exit code 1"),
  };
}

function start(change: Partial<RosterOptions> = {}, onStart: (made: Actor) => void = () => undefined): void {
  const bus = eventBus();
  bus.subscribe((event) => events.push(event));
  roster = createRoster({
    clock,
    random: seededRandom(1),
    events: bus,
    count: 1,
    retireMs: 60_000,
    start() {
      const made = actor(actors.length);
      actors.push(made);
      onStart(made);
      return made.member;
    },
    onGone: () => undefined,
    ...change,
  });
}

const serves = (made: Actor): void => made.serve();
const reasons = () => events.flatMap((event) => (event.name === "worker.ended" ? event.data.reason : []));
const killed = (): readonly boolean[] => actors.map((each) => each.killed());

describe("a worker", () => {
  it("has ten seconds until it serves, then another takes its place", async () => {
    start(PATIENT);
    await clock.advance(9_999);
    expect(killed()).toEqual([false]);
    await clock.advance(2);
    expect(killed()).toEqual([true]);
    expect(reasons()).toEqual(["start of worker 0 did not finish within 10000 ms"]);
    await clock.advance(100);
    expect(killed()).toEqual([true, false]);
  });

  it("that tells nothing for more than ten seconds is given up, at the next look of one a second", async () => {
    start({}, serves);
    await clock.advance(5_000);
    for (const { member } of actors) member.heardMs = clock.monotonic();
    await clock.advance(10_500);
    expect(killed()).toEqual([false]);
    await clock.advance(501);
    expect(killed().at(0)).toBe(true);
    expect(reasons()).toEqual(["it told nothing for more than 10000 ms"]);
  });

  it("that refuses to work with this process says why, each time it is tried again", async () => {
    start(PATIENT, (made) => made.refuse(new Error("its code is of another version")));
    await clock.advance(150);
    expect(killed().slice(0, 2)).toEqual([true, true]);
    expect(new Set(reasons())).toEqual(new Set(["its code is of another version"]));
  });

  it("is not blamed for what nobody could hear while this process stood still", async () => {
    let stoodStillMs = 0;
    const late: Clock = { ...clock, monotonic: () => clock.monotonic() + stoodStillMs };
    start({ clock: late }, serves);
    await clock.advance(1_500);
    stoodStillMs = 3_600_000;
    await clock.advance(10_600);
    expect(killed()).toEqual([false]);
    await clock.advance(1_000);
    expect(killed().at(0)).toBe(true);
  });

  it("that ends is followed by another, after longer and longer pauses up to five seconds while they do not serve", async () => {
    const startsMs: number[] = [];
    start({ ...PATIENT, random: () => 1 }, (made) => {
      startsMs.push(clock.monotonic());
      made.die();
    });
    await clock.advance(30_000);
    const pauses = startsMs.slice(1).map((ms, index) => ms - (startsMs[index] as number));
    expect(pauses.slice(0, 3)).toEqual([0, 200, 400]);
    expect(Math.max(...pauses)).toBe(5_000);
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  });
});

describe("retired workers", () => {
  it("may go on, thirty-two of them; older ones have five seconds", async () => {
    start({}, serves);
    await clock.advance(0);
    for (let n = 0; n < 33; n++) await roster.replaceAll();
    expect(actors).toHaveLength(34);
    const crowded = actors.filter(({ retirements }) => retirements.length > 1);
    expect(crowded).toEqual([actors[0]]);
    expect(actors[0]?.retirements).toEqual([
      { graceMs: 60_000, acceptWhileDraining: false, waitForKept: true },
      { graceMs: 5_000, acceptWhileDraining: false },
    ]);
  });
});

it("the end gives workers their grace and a second more, then kills them", async () => {
  start({ count: 2 }, serves);
  await clock.advance(0);
  const closed = roster.close({ graceMs: 8_000 });
  expect(actors.map(({ retirements }) => retirements)).toEqual([[{ graceMs: 8_000 }], [{ graceMs: 8_000 }]]);
  await clock.advance(8_999);
  expect(killed()).toEqual([false, false]);
  await clock.advance(2);
  expect(killed()).toEqual([true, true]);
  await closed;
  await clock.advance(60_000);
  expect(actors).toHaveLength(2);
});

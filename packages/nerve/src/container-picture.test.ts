import { type FakeClock, fakeClock } from "@smartstack/core/testing";
import { beforeEach, describe, expect, test } from "vitest";
import { type ContainerPicture, containerPicture, type Lens } from "./container-picture.ts";
import type { InspectJson } from "./containers.ts";
import type { DockerApi } from "./docker-api.ts";
import type { ContainerEvent } from "./lifecycle.ts";

const ID = "c".repeat(64);
const RUNNING: InspectJson = { Id: ID, Name: "/web", State: { Status: "running", Running: true, StartedAt: "1" } };

let clock: FakeClock;
let picture: ContainerPicture;
/** Inspects that wait for their answer, in the order they were asked. */
let asked: { answer(json: InspectJson | undefined): Promise<void>; fail(): Promise<void> }[];

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const lens: Lens = {
  labels: [],
  keepsEnv: () => false,
  api: {
    inspect: () =>
      new Promise((resolve, reject) => {
        asked.push({
          answer(json) {
            resolve(json);
            return settled();
          },
          fail() {
            reject(new Error("answered 500"));
            return settled();
          },
        });
      }),
  } as unknown as DockerApi,
};

async function event(action: ContainerEvent["action"], signal?: number): Promise<void> {
  await clock.advance(1);
  picture.event({ container: ID, action, signal, labels: {} }, lens);
  await clock.advance(1);
}

beforeEach(() => {
  clock = fakeClock();
  asked = [];
  const { signal } = new AbortController();
  picture = containerPicture({ clock, signal, onChange: () => undefined, onDrift: () => undefined });
});

test("an answer that comes after the container was removed does not bring it back", async () => {
  await event("start");
  await event("die");
  await event("destroy");
  await asked[0]?.answer(RUNNING);
  expect(picture.all().size).toBe(0);
  expect(asked).toHaveLength(1);
});

test("the network of a container that has not started yet is no reason to look at it", async () => {
  await event("connect");
  expect(asked).toHaveLength(0);
  await event("start");
  await asked[0]?.answer(RUNNING);
  await event("connect");
  expect(asked).toHaveLength(2);
});

test("a container that outlived its stop signal and cannot be inspected is not asked for again and again", async () => {
  await event("start");
  await asked[0]?.answer(RUNNING);
  await event("kill", 15);
  await clock.advance(14_000);
  expect(asked).toHaveLength(1);
  await clock.advance(1_000);
  expect(asked).toHaveLength(2);
  await asked[1]?.fail();
  await clock.advance(1_000);
  expect(asked).toHaveLength(2);
  expect(picture.all().get(ID)?.problem).toMatch(/500/);
  // The next comparison asks again.
  picture.list([{ Id: ID, Names: ["/web"], State: "running" }], clock.monotonic(), false, lens);
  await asked[2]?.answer(RUNNING);
  expect(picture.all().get(ID)?.lifecycle.phase).toBe("in");
});

describe("its stop signal comes before the first inspect has answered", () => {
  const QUITS: InspectJson = { ...RUNNING, Config: { StopSignal: "SIGQUIT" } };
  const phase = (): string | undefined => picture.all().get(ID)?.lifecycle.phase;

  test("of a container that was listed: the answer does not bring it in", async () => {
    picture.list([{ Id: ID, Names: ["/web"], State: "running" }], clock.monotonic(), true, lens);
    await event("kill", 3);
    expect(phase()).toBe("in");
    await asked[0]?.answer(QUITS);
    expect(phase()).toBe("leaving");
    await asked[1]?.answer(QUITS);
    expect(phase()).toBe("leaving");
  });

  test.each([3, 9])("%s of a container that no list has shown yet", async (signal) => {
    await event("kill", signal);
    await asked[0]?.answer(QUITS);
    picture.list([{ Id: ID, Names: ["/web"], State: "running" }], clock.monotonic(), true, lens);
    await asked[1]?.answer(QUITS);
    expect(phase()).toBe("leaving");
  });

  test("of one that a list showed at rest, and that was started since", async () => {
    picture.list([{ Id: ID, Names: ["/web"], State: "exited" }], clock.monotonic(), true, lens);
    await event("start");
    await event("kill", 3);
    await asked[0]?.answer(QUITS);
    await asked[1]?.answer(QUITS);
    expect(phase()).toBe("leaving");
  });

  test("TERM was none for it: in, once that is known", async () => {
    await event("start");
    await event("kill", 15);
    expect(phase()).toBe("leaving");
    await asked[0]?.answer(QUITS);
    await asked[1]?.answer(QUITS);
    expect(phase()).toBe("in");
  });
});

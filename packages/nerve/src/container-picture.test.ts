import { type FakeClock, fakeClock } from "@smartstack/core/testing";
import { beforeEach, expect, test } from "vitest";
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
});

test("a container that outlived its stop signal and cannot be inspected is not asked for again and again", async () => {
  await event("start");
  await asked[0]?.answer(RUNNING);
  await event("kill", 15);
  await asked[1]?.answer(RUNNING);
  await clock.advance(15_000);
  expect(asked).toHaveLength(3);
  await asked[2]?.fail();
  await clock.advance(1_000);
  expect(asked).toHaveLength(3);
  expect(picture.all().get(ID)?.problem).toMatch(/500/);
  // The next comparison asks again.
  picture.list([{ Id: ID, Names: ["/web"], State: "running" }], clock.monotonic(), false, lens);
  await asked[3]?.answer(RUNNING);
  expect(picture.all().get(ID)?.lifecycle.phase).toBe("in");
});

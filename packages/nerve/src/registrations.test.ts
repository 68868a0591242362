import { eventBus } from "@smartstack/core";
import { fakeClock, seededRandom } from "@smartstack/core/testing";
import { expect, test } from "vitest";
import type { CheckSpec } from "./checks/index.ts";
import type { Offer } from "./offers.ts";
import { registrations } from "./registrations.ts";

const CONTAINER = "c".repeat(64);

function offerOf(port: number, damping: number | undefined): Offer {
  const check: CheckSpec = {
    ...{ type: "none", host: "h", port, options: {}, published: false },
    ...{ intervalMs: 1_000, timeoutMs: 500, rise: 1, fall: 1, damping },
  };
  return {
    ...{ service: "web", id: "cccccccccccc-80", instance: { host: "h", port } },
    ...{ namedBy: "", addressReason: "", otherAddresses: [], checks: [check] },
  };
}

function world(damping: number | undefined) {
  const clock = fakeClock();
  const table = registrations({
    ...{ clock, random: seededRandom(1), events: eventBus() },
    announced: () => false,
    engineVerdict: () => undefined,
    onChange: () => undefined,
  });
  return {
    clock,
    /** The health once it has started, at this port. */
    async start(port = 80) {
      table.sync(CONTAINER, [offerOf(port, damping)]);
      await clock.advance(0);
      return table.all().get("web/cccccccccccc-80")?.health;
    },
    end: () => table.sync(CONTAINER, []),
    health: () => table.all().get("web/cccccccccccc-80")?.health,
    stop: () => table.stop(),
  };
}

test("a container that restarts all the time is damped like a check that changes all the time", async () => {
  const { clock, start, end, health, stop } = world(2);
  expect(await start()).toBe("up");
  end();
  expect(await start()).toBe("up");
  await clock.advance(1_000);
  end();
  expect(await start()).toBe("down");
  await clock.advance(57_000);
  expect(health()).toBe("down");
  await clock.advance(3_000);
  expect(health()).toBe("up");
  stop();
});

test("also when it comes back at another address, and not without damping", async () => {
  const moving = world(1);
  expect(await moving.start(80)).toBe("up");
  moving.end();
  expect(await moving.start(81)).toBe("down");
  expect(await moving.start(82)).toBe("down");
  moving.stop();
  const free = world(undefined);
  for (let at = 0; at < 5; at++) {
    expect(await free.start()).toBe("up");
    free.end();
  }
});

test("what restarts after a calm minute is up at once", async () => {
  const { clock, start, end, stop } = world(1);
  expect(await start()).toBe("up");
  end();
  await clock.advance(60_000);
  expect(await start()).toBe("up");
  stop();
});

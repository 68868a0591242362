import { fakeClock } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { fakeWire } from "./testing/fake-wire.ts";
import { createTimerWheel } from "./timer-wheel.ts";
import { join } from "./tunnel.ts";

/** How long a side may take to read what it still gets when the other is gone, and the wheel's tick. */
const FLUSH_MS = 30_000;
const TICK_MS = 50;

function joined(idleMs = 0) {
  const clock = fakeClock();
  const [client, backend] = [fakeWire(), fakeWire()];
  const onIn = (): void => undefined;
  join(client, backend, { wheel: createTimerWheel(clock), idleMs, onIn, onOut: onIn });
  return { clock, client, backend };
}

it("gives a client thirty seconds for the last bytes of a backend that is gone, whatever its idle time", async () => {
  const { clock, client, backend } = joined(5_000);
  backend.owner.wireEnded();
  client.needsDrain = true;
  backend.gone();
  await clock.advance(FLUSH_MS - TICK_MS);
  // Bytes on the way give it no more time: it could take them one by one for ever.
  client.owner.wireDrained();
  expect(client.calls).toEqual(["end"]);
  await clock.advance(2 * TICK_MS);
  expect(client.calls).toEqual(["end", "destroy"]);
});

it("leaves no timeout behind once both are gone", async () => {
  const { clock, client, backend } = joined(5_000);
  backend.owner.wireEnded();
  backend.gone();
  client.gone();
  await clock.advance(10 * FLUSH_MS);
  expect(backend.calls).toEqual([]);
  expect(client.calls).toEqual(["end"]);
});

it("passes a reset on as a reset, and closes at once what still expected more", () => {
  const reset = joined();
  reset.backend.gone(new Error("read ECONNRESET"));
  expect(reset.client.calls).toEqual(["reset"]);
  const cut = joined();
  cut.client.gone();
  expect(cut.backend.calls).toEqual(["destroy"]);
});

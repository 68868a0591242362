import { fakeClock } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { fakeWire } from "./testing/fake-wire.ts";
import { createTimerWheel } from "./timer-wheel.ts";
import { join } from "./tunnel.ts";

/** How long a side may take to read what it still gets when the other is gone, and the wheel's tick. */
const FLUSH_MS = 30_000;
const TICK_MS = 50;

function joined(idleMs = 0, halfClosedMs = 0) {
  const clock = fakeClock();
  const [client, backend] = [fakeWire(), fakeWire()];
  const onIn = (): void => undefined;
  join(client, backend, { wheel: createTimerWheel(clock), idleMs, halfClosedMs, onIn, onOut: onIn });
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

it.each([
  [0, 10_000, 10_000],
  [60_000, 10_000, 10_000],
  [10_000, 60_000, 10_000],
  [10_000, 0, 10_000],
] as const)(
  "with idle time %d and half-closed time %d, ends %d ms after the last byte behind one end",
  async (...ms) => {
    const [idleMs, halfClosedMs, endMs] = ms;
    for (const end of ["client", "backend"] as const) {
      const { clock, client, backend } = joined(idleMs, halfClosedMs);
      const [ended, other] = end === "client" ? [client, backend] : [backend, client];
      await clock.advance(9_000);
      ended.owner.wireEnded();
      expect(other.calls).toEqual(["end"]);
      await clock.advance(9_000);
      other.owner.wireData(Buffer.from("x"));
      await clock.advance(endMs - TICK_MS);
      expect(ended.calls).toEqual([]);
      await clock.advance(2 * TICK_MS);
      expect(ended.calls).toEqual(["destroy"]);
      expect(other.calls).toEqual(["end", "destroy"]);
    }
  },
);

it("without any of these times waits for ever", async () => {
  const { clock, client, backend } = joined();
  client.owner.wireEnded();
  await clock.advance(100 * 3_600_000);
  expect(client.calls).toEqual([]);
  expect(backend.calls).toEqual(["end"]);
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

import { connect, createServer, type Socket } from "node:net";
import { type Clock, eventBus, systemClock } from "@smartstack/core";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, expect, it } from "vitest";
import { openListener } from "./listener.ts";
import { DEFAULT_CLIENTS_MAX } from "./snapshot.ts";
import type { Wire } from "./wire.ts";

const warnings: Error[] = [];
const keep = (warning: Error): void => void warnings.push(warning);

afterEach(() => {
  process.off("warning", keep);
  warnings.length = 0;
});

it("tries a taken address for ever without piling anything up", async () => {
  process.on("warning", keep);
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const port = (holder.address() as { port: number }).port;
  let waits = 0;
  const clock: Clock = {
    ...systemClock,
    after(ms, run, options) {
      if (ms <= 1) waits++;
      return systemClock.after(ms, run, options);
    },
  };
  const listener = openListener({
    address: { host: "127.0.0.1", port },
    clock,
    random: () => 0.5,
    events: eventBus(),
    retryMs: 1,
    serviceName: () => "web",
    load: { clients: 0, max: Number.POSITIVE_INFINITY },
    clientsMax: () => DEFAULT_CLIENTS_MAX,
    onConnection: () => undefined,
    onRefused: () => undefined,
  });
  await until(() => waits > 20, { what: "twenty attempts" });
  holder.close();
  await until(() => listener.status().state === "bound", { what: "the address is bound once it is free" });
  listener.close();
  expect(warnings).toEqual([]);
});

it("turns clients away above its limit, says so, and takes others once some have left", async () => {
  const accepted: Wire[] = [];
  let refused = 0;
  const load = { clients: 0, max: Number.POSITIVE_INFINITY };
  const listener = openListener({
    address: { host: "127.0.0.1", port: 0 },
    clock: systemClock,
    random: () => 0.5,
    events: eventBus(),
    retryMs: 1,
    serviceName: () => "web",
    load,
    clientsMax: () => 3,
    onConnection: (wire) => accepted.push(wire),
    onRefused: () => refused++,
  });
  await listener.settled;
  const port = Number(listener.status().address.split(":").at(-1));
  const clients: Socket[] = [];
  const come = (count: number): void => {
    for (let n = 0; n < count; n++) clients.push(connect(port, "127.0.0.1").on("error", () => undefined));
  };
  try {
    come(5);
    await until(() => accepted.length + refused === 5, { what: "five clients" });
    expect([accepted.length, refused]).toEqual([3, 2]);
    for (const wire of accepted.slice(0, 2)) wire.destroy();
    await until(() => load.clients === 1, { what: "two that left" });
    come(3);
    await until(() => accepted.length + refused === 8, { what: "three more" });
    expect([accepted.length, refused]).toEqual([5, 3]);
    for (const wire of accepted) wire.destroy();
    await until(() => load.clients === 0, { what: "all that left" });
  } finally {
    for (const client of clients) client.destroy();
    listener.close();
  }
});

it("gives a bind five seconds, then tries again, and ends the server that waited", async () => {
  const clock = fakeClock();
  const ended: boolean[] = [];
  const failures: string[] = [];
  const events = eventBus();
  events.subscribe((event) => failures.push(event.name));
  const listener = openListener({
    address: { host: "127.0.0.1", port: 1 },
    clock,
    random: () => 0.5,
    events,
    retryMs: 1_000,
    serviceName: () => "web",
    load: { clients: 0, max: Number.POSITIVE_INFINITY },
    clientsMax: () => DEFAULT_CLIENTS_MAX,
    onConnection: () => undefined,
    onRefused: () => undefined,
    bind(server) {
      const index = ended.push(false) - 1;
      server.once("close", () => {
        ended[index] = true;
      });
      return new Promise(() => undefined);
    },
  });
  await clock.advance(4_999);
  expect(listener.status().state).toBe("pending");
  await clock.advance(2);
  expect(listener.status()).toMatchObject({ state: "failed", reason: expect.stringContaining("within 5000 ms") });
  expect(ended).toEqual([true]);
  await clock.advance(1_000);
  expect(ended).toEqual([true, false]);
  expect(failures).toEqual(["listener.failed"]);
  listener.close();
});

import { eventBus, systemClock } from "@smartstack/core";
import { seededRandom, until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { createProxy } from "./proxy.ts";
import { DEFAULT_CLIENTS_MAX } from "./snapshot.ts";
import { backendSpec, type RawClient, rawBackend, rawClient, serviceSpec, startBench } from "./testing/bench.ts";

it("is 16,384 connections unless it is set, and changes with the service, touching nobody who is there", async () => {
  expect(DEFAULT_CLIENTS_MAX).toBe(16_384);
  const echo = await rawBackend((socket, all) => socket.write(all.slice(-1)));
  const bench = await startBench({ mode: "tcp", backends: [backendSpec("a", echo.port)], clientsMax: 1 });
  bench.onClose(echo.close);
  const come = () => {
    const client = rawClient(bench.port());
    bench.onClose(() => void client.socket.destroy());
    return client;
  };
  const refused = () => bench.proxy.status()[0]?.counters.refused;
  try {
    const first = come();
    first.send("1");
    await first.expect("1");
    const turnedAway = come();
    await until(() => turnedAway.ended() || turnedAway.closed(), { what: "the second is closed" });
    expect(refused()).toBe(1);
    await bench.apply({ clientsMax: 2 });
    const second = come();
    second.send("2");
    await second.expect("2");
    await bench.apply({ clientsMax: 1 });
    first.send("3");
    second.send("4");
    await first.expect("13");
    await second.expect("24");
    expect(refused()).toBe(1);
  } finally {
    await bench.close();
  }
});

/** Two services that echo, and clients of them that say whether they were served. */
async function twoServices() {
  const echo = await rawBackend((socket, all) => socket.write(all.slice(-1)));
  const proxy = createProxy({ clock: systemClock, random: seededRandom(1), events: eventBus() });
  const clients: RawClient[] = [];
  const backends = [backendSpec("a", echo.port)];
  const services = ["web", "db"].map((name) => serviceSpec({ name, mode: "tcp", backends }));
  let revision = 0;
  return {
    proxy,
    async apply(clientsMax?: number) {
      const snapshot = { revision: ++revision, services };
      proxy.apply(clientsMax === undefined ? snapshot : { ...snapshot, clientsMax });
      await proxy.settled();
    },
    async isServed(at: number): Promise<boolean> {
      const port = Number(proxy.status()[at]?.listeners[0]?.address.split(":").at(-1));
      const client = rawClient(port);
      clients.push(client);
      client.send("x");
      await until(() => client.text() === "x" || client.ended() || client.closed(), { what: "served or turned away" });
      return client.text() === "x";
    },
    refused: () => proxy.status().map(({ counters }) => counters.refused),
    async close() {
      for (const client of clients) client.socket.destroy();
      await proxy.close({ graceMs: 0 });
      await echo.close();
    },
  };
}

it("of the process is over all services, and changes with the snapshot", async () => {
  const scene = await twoServices();
  try {
    await scene.apply(2);
    expect([await scene.isServed(0), await scene.isServed(1), await scene.isServed(0)]).toEqual([true, true, false]);
    expect(scene.refused()).toEqual([1, 0]);
    await scene.apply(3);
    expect([await scene.isServed(1), await scene.isServed(1)]).toEqual([true, false]);
    await scene.apply();
    expect(await scene.isServed(0)).toBe(true);
  } finally {
    await scene.close();
  }
});

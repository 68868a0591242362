import { until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { DEFAULT_CLIENTS_MAX } from "./snapshot.ts";
import { backendSpec, rawBackend, rawClient, startBench } from "./testing/bench.ts";

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

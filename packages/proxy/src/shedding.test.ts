import { fakeClock, until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { type Shedding, watchLoop } from "./shedding.ts";
import { backendSpec, rawBackend, rawClient, startBench } from "./testing/bench.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";

it("answers new requests with 503 while the process drowns, and leaves what runs alone", async () => {
  const shedding: Shedding = { share: 0 };
  const backend = await rawBackend(() => undefined);
  const bench = await startBench({ backends: [backendSpec("b", backend.port)] }, { shedding });
  bench.onClose(backend.close);
  const come = () => {
    const client = rawClient(bench.port());
    bench.onClose(() => void client.socket.destroy());
    client.send(GET);
    return client;
  };
  try {
    const running = come();
    await until(() => backend.received[0]?.includes("GET /x") === true, { what: "the request is at the backend" });
    shedding.share = 1;
    const turnedAway = come();
    const text = await turnedAway.expect(/503 Service Unavailable[\s\S]*overloaded\n$/);
    expect(text).toContain("\r\nRetry-After: 1\r\n");
    expect(text).not.toContain("Connection: close");
    backend.sockets[0]?.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await running.expect("ok");
    shedding.share = 0;
    turnedAway.send(GET);
    await until(() => backend.received[0]?.match(/GET/g)?.length === 2, { what: "the next one is" });
    expect(bench.proxy.status()[0]?.counters.shed).toBe(1);
  } finally {
    await bench.close();
  }
});

it("closes new TCP connections while the process drowns, and leaves those that stand alone", async () => {
  const shedding: Shedding = { share: 0 };
  const backend = await rawBackend((socket, all) => socket.write(all.slice(-1)));
  const bench = await startBench({ mode: "tcp", backends: [backendSpec("b", backend.port)] }, { shedding });
  bench.onClose(backend.close);
  try {
    const standing = rawClient(bench.port());
    bench.onClose(() => void standing.socket.destroy());
    standing.send("1");
    await standing.expect("1");
    shedding.share = 1;
    await rawClient(bench.port()).expectEnd();
    standing.send("2");
    await standing.expect("12");
    expect(bench.proxy.status()[0]?.counters.shed).toBe(1);
  } finally {
    await bench.close();
  }
});

it("turns away the part that is asked for, by chance", async () => {
  const backend = await rawBackend((socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  let chance = 0;
  const deps = { shedding: { share: 0.5 }, random: () => chance };
  const bench = await startBench({ backends: [backendSpec("b", backend.port)] }, deps);
  bench.onClose(backend.close);
  const client = rawClient(bench.port());
  bench.onClose(() => void client.socket.destroy());
  try {
    const statuses: string[] = [];
    for (chance of [0.1, 0.6, 0.49, 0.5]) {
      const from = client.text().length;
      client.send(GET);
      await client.expect(new RegExp(`^[\\s\\S]{${from}}HTTP[\\s\\S]*(ok|overloaded\n)$`));
      statuses.push(client.text().slice(from, from + "HTTP/1.1 200".length));
    }
    expect(statuses).toEqual(["HTTP/1.1 503", "HTTP/1.1 200", "HTTP/1.1 503", "HTTP/1.1 200"]);
  } finally {
    await bench.close();
  }
});

it("begins and ends with the ticks of the loop, is said once for each, and ends when it is switched off", async () => {
  const time = fakeClock();
  let stolenMs = 0;
  let cpuMs = 0;
  // Each tick finds the clock further on than it waited for.
  const clock = { ...time, monotonic: () => time.monotonic() + stolenMs };
  const turns: boolean[] = [];
  const shedding: Shedding = { share: 0 };
  const loop = watchLoop(shedding, { clock, cpuMs: () => cpuMs, onTurn: (overloaded) => turns.push(overloaded) });
  const tick = async (lateMs: number) => {
    stolenMs += lateMs;
    cpuMs += lateMs;
    await time.advance(500);
  };
  expect(time.pending()).toBe(0);
  loop.tolerate(1_000);
  loop.tolerate(1_000);
  expect(time.pending()).toBe(1);
  for (let n = 0; n < 4; n++) await tick(2_000);
  expect([shedding.share, ...turns]).toEqual([0.4, true]);
  for (let n = 0; n < 5; n++) await tick(0);
  expect([shedding.share, ...turns]).toEqual([0, true, false]);
  for (let n = 0; n < 3; n++) await tick(2_000);
  loop.tolerate(undefined);
  expect([shedding.share, ...turns]).toEqual([0, true, false, true, false]);
  expect(time.pending()).toBe(0);
});

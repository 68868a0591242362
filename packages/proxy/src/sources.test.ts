import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import type { Opening } from "./opening.ts";
import { createRecentMap } from "./recent-map.ts";
import type { ServiceSpec } from "./snapshot.ts";
import { createSources, NO_SOURCE, sourceOf } from "./sources.ts";
import { type Bench, backendSpec, rawBackend, rawClient, startBench } from "./testing/bench.ts";
import { fakeWire } from "./testing/fake-wire.ts";

describe("a source", () => {
  const of = (address: string | undefined, ends?: Opening["ends"]) =>
    sourceOf({ ...fakeWire(), peer: () => address }, ends);

  it("is an IPv4 address, however it is written", () => {
    expect(of("10.0.0.1")).toBe("10.0.0.1");
    expect(of("::ffff:10.0.0.1")).toBe("10.0.0.1");
  });

  it("is the /64 of an IPv6 address", () => {
    expect(of("2001:db8:1:2::1")).toBe(of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    expect(of("2001:db8:1:2::1")).not.toBe(of("2001:db8:1:3::1"));
    expect(of("fe80::1%eth0")).toBe(of("fe80::2"));
  });

  it("is who a PROXY protocol header names, and nobody behind a unix socket", () => {
    const target = { address: "10.0.0.9", port: 80 };
    expect(of("10.0.0.2", { source: { address: "192.0.2.7", port: 1 }, target })).toBe("192.0.2.7");
    expect(of(undefined)).toBe(NO_SOURCE);
  });
});

describe("what is known of sources", () => {
  it("is each one's connections, and nothing once they are gone", () => {
    const sources = createSources();
    expect([sources.enter("a", 2), sources.enter("a", 2), sources.enter("a", 2)]).toEqual([true, true, false]);
    expect(sources.enter("b", 2)).toBe(true);
    sources.leave("a");
    expect([sources.enter("a", 2), sources.enter("a", 2)]).toEqual([true, false]);
  });

  it("is bounded: who was quiet the longest begins anew", () => {
    const rate = { requests: 1, perMs: 1_000, burst: 1 };
    const sources = createSources(8);
    expect(sources.take("first", rate, 0)).toBe(0);
    for (let n = 0; n < 3; n++) sources.take(`other-${n}`, rate, 0);
    expect(sources.take("first", rate, 0)).toBe(1_000);
    for (let n = 3; n < 8; n++) sources.take(`other-${n}`, rate, 0);
    expect(sources.take("first", rate, 0)).toBe(0);
  });
});

it("a map of recent keys never holds more than its bound, and always its newest half", () => {
  const map = createRecentMap(10);
  for (let n = 0; n < 100; n++) {
    map.set(String(n), n);
    const held = Array.from({ length: n + 1 }, (_, key) => map.get(String(key)) !== undefined);
    expect(held.filter(Boolean).length).toBeLessThanOrEqual(10);
    expect(held.slice(-5)).not.toContain(false);
  }
});

describe("a service with limits for each source", () => {
  let bench: Bench;
  afterEach(() => bench.close());

  async function start(change: Partial<ServiceSpec>) {
    const clock = fakeClock();
    const backend = await rawBackend((socket, all) =>
      socket.write(all.startsWith("GET") ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" : all.slice(-1)),
    );
    bench = await startBench({ backends: [backendSpec("b", backend.port)], acceptProxy: true, ...change }, { clock });
    bench.onClose(backend.close);
    return clock;
  }

  function comeFrom(address: string) {
    const client = rawClient(bench.port());
    bench.onClose(() => void client.socket.destroy());
    client.send(`PROXY TCP${address.includes(":") ? 6 : 4} ${address} ${address} 1000 80\r\n`);
    return client;
  }

  const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const limited = () => bench.proxy.status()[0]?.counters.sourceLimited;

  it.each(["tcp", "http"] as const)("closes a connection too many at once, and nobody else's (%s)", async (mode) => {
    await start({ mode, sources: { connectionsMax: 1 } });
    const serve = async (client: ReturnType<typeof comeFrom>) => {
      client.send(mode === "http" ? GET : "x");
      await client.expect(mode === "http" ? "ok" : "x");
    };
    const first = comeFrom("192.0.2.1");
    await serve(first);
    await comeFrom("192.0.2.1").expectEnd();
    expect(limited()).toBe(1);
    await serve(comeFrom("192.0.2.2"));
    await serve(comeFrom("2001:db8::1"));
    await comeFrom("2001:db8::2").expectEnd();
    await bench.apply({ sources: { connectionsMax: 2 } });
    await serve(comeFrom("192.0.2.1"));
    first.socket.resetAndDestroy();
    await until(() => bench.proxy.status()[0]?.counters.activeClients === 3, { what: "the first one is gone" });
    await serve(comeFrom("192.0.2.1"));
    expect(limited()).toBe(2);
  });

  it("answers requests beyond the rate with 429 and when to come again, on a connection that stays", async () => {
    const clock = await start({ sources: { rate: { requests: 1, perMs: 3_000, burst: 2 } } });
    const client = comeFrom("192.0.2.1");
    client.send(GET.repeat(3));
    const text = await client.expect(/429 Too Many[\s\S]*\n.*from one address\n$/);
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 429"]);
    expect(text).toContain("\r\nRetry-After: 3\r\n");
    comeFrom("192.0.2.2").send(GET);
    await clock.advance(3_000);
    client.send(GET);
    await client.expect(/429 Too Many[\s\S]*HTTP\/1.1 200 OK[\s\S]*ok$/);
    expect(limited()).toBe(1);
    expect(bench.proxy.status()[0]?.counters.responses[4]).toBe(1);
  });

  it("closes the connection of a request beyond the rate whose body is still to come", async () => {
    await start({ sources: { rate: { requests: 1, perMs: 60_000, burst: 1 } } });
    const client = comeFrom("192.0.2.1");
    client.send(`${GET}POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n`);
    expect(await client.expectEnd()).toMatch(/200 OK[\s\S]*429 Too Many[\s\S]*Connection: close/);
  });

  it("counts connections where it speaks TCP", async () => {
    const clock = await start({ mode: "tcp", sources: { rate: { requests: 1, perMs: 1_000, burst: 1 } } });
    const serve = async () => {
      const client = comeFrom("192.0.2.1");
      client.send("x");
      await client.expect("x");
    };
    await serve();
    await comeFrom("192.0.2.1").expectEnd();
    await clock.advance(1_000);
    await serve();
    expect(limited()).toBe(1);
  });
});

// One client's connection, on a wire whose events are the test's, and a backend that never answers.
import { type FakeClock, fakeClock, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PLAIN } from "../opening.ts";
import { backendSpec, type RawBackend, rawBackend, startService } from "../testing/bench.ts";
import { type FakeWire, fakeWire } from "../testing/fake-wire.ts";
import { serveHttp } from "./connection.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

let clock: FakeClock;
let backend: RawBackend;
let wire: FakeWire;

beforeEach(async () => {
  clock = fakeClock();
  backend = await rawBackend(() => undefined);
  wire = fakeWire();
  const [service, surroundings] = startService({ backends: [backendSpec("b", backend.port)] }, clock);
  serveHttp(wire, service, surroundings, PLAIN);
});

afterEach(async () => {
  if (!wire.destroyed) wire.gone();
  await backend.close();
});

const send = (text: string): void => wire.owner.wireData(Buffer.from(text, "latin1"));
const asked = (): Promise<true> => until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "the request" });

it("reads 16 KiB of requests ahead while one is running, and no more", async () => {
  send(GET);
  await asked();
  send("x".repeat(16 * 1024 - 1));
  expect(wire.paused).toBe(false);
  send("x");
  expect(wire.paused).toBe(true);
});

describe("a client that ended its side", () => {
  it("is looked at every half second for as long as its request runs", async () => {
    send(GET);
    await asked();
    await clock.advance(10_000);
    wire.owner.wireEnded();
    expect(wire.probes).toBe(0);
    await clock.advance(450);
    expect(wire.probes).toBe(0);
    await clock.advance(100);
    expect(wire.probes).toBe(1);
    await clock.advance(5_000);
    expect(wire.probes).toBeGreaterThanOrEqual(9);
    wire.gone();
    const { probes } = wire;
    await clock.advance(5_000);
    expect(wire.probes).toBe(probes);
    await until(() => backend.sockets[0]?.readableEnded, { what: "the backend's end" });
  });

  it("is not looked at while it has yet to read: its answer's bytes tell", async () => {
    send(GET);
    await asked();
    wire.owner.wireEnded();
    wire.needsDrain = true;
    await clock.advance(5_000);
    expect(wire.probes).toBe(0);
    expect(wire.calls).toEqual([]);
  });
});

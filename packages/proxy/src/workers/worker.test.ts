import type { Socket } from "node:net";
import { type FakeClock, fakeClock, seededRandom, until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { boundHandle, type StreamHandle } from "../handles.ts";
import type { ServiceSpec } from "../snapshot.ts";
import { backendSpec, type RawClient, rawBackend, rawClient, serviceSpec } from "../testing/bench.ts";
import { PROTOCOL, type ToControl, type ToWorker } from "./protocol.ts";
import { runWorker } from "./worker.ts";

const ADDRESS = { host: "127.0.0.1", port: 0 };

interface Sent {
  readonly message: ToControl;
  readonly handle: StreamHandle | undefined;
  readonly left: () => void;
}

let clock: FakeClock;
let sent: Sent[];
let exited: boolean;
let tell: (message: ToWorker, handle?: StreamHandle) => void;
let hangUp: () => void;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  clock = fakeClock();
  sent = [];
  exited = false;
  runWorker({
    clock,
    random: seededRandom(1),
    exit: () => {
      exited = true;
    },
    link: {
      send(message, handle, left) {
        sent.push({ message, handle, left: () => left?.() });
        if (handle === undefined) left?.();
      },
      onMessage(listener) {
        tell = listener;
      },
      onEnd(listener) {
        hangUp = listener;
      },
    },
  });
});

afterEach(async () => {
  tell({ kind: "close", options: { graceMs: 0, acceptWhileDraining: false } });
  await until(() => exited, { what: "the worker's end" });
  for (const { handle, left } of sent) if (handle !== undefined) left();
  for (const close of closers.splice(0)) await close();
});

function kinds<K extends ToControl["kind"]>(kind: K): Extract<ToControl, { kind: K }>[] {
  return sent.flatMap(({ message }) => (message.kind === kind ? [message as Extract<ToControl, { kind: K }>] : []));
}

function apply(revision: number, change: Partial<ServiceSpec>): void {
  const spec = serviceSpec({ mode: "tcp", listen: [ADDRESS], ...change });
  tell({ kind: "apply", revision, changed: [spec], names: [spec.name] });
}

const state = () => kinds("report").findLast(({ services }) => services.length > 0)?.services[0]?.listeners[0];

/** A listening socket that says whether it was closed. */
function watched() {
  const handle = boundHandle(ADDRESS) as StreamHandle;
  const close = handle.close.bind(handle);
  let closed = false;
  handle.close = (done) => {
    closed = true;
    close(done);
  };
  return { handle, closed: () => closed };
}

/** A service that is bound; resolves with its port. */
async function serving(socket: StreamHandle | undefined = boundHandle(ADDRESS)): Promise<number> {
  const backend = await rawBackend((socket: Socket, all) => socket.write(all));
  closers.push(backend.close);
  apply(1, { backends: [backendSpec("b", backend.port)] });
  await until(() => kinds("listen").length === 1, { what: "the question for a socket" });
  tell({ kind: "listening", ask: kinds("listen")[0]?.ask ?? -1 }, socket);
  await until(() => kinds("settled").length === 1, { what: "the listener" });
  return Number(state()?.address.split(":").at(-1));
}

function connecting(port: number): RawClient {
  const client = rawClient(port);
  closers.push(() => client.socket.destroy());
  return client;
}

async function connected(port: number): Promise<RawClient> {
  const client = connecting(port);
  client.send("hi");
  await client.expect("hi");
  return client;
}

it("says first which protocol it speaks", () => {
  expect(sent[0]?.message).toEqual({ kind: "hello", protocol: PROTOCOL });
});

it("reports once a second, and only services of which anything was counted", async () => {
  await serving();
  await clock.advance(1_000);
  const before = kinds("report").length;
  await clock.advance(999);
  expect(kinds("report")).toHaveLength(before);
  await clock.advance(1);
  expect(kinds("report")).toHaveLength(before + 1);
  await clock.advance(5_000);
  expect(kinds("report").slice(before)).toEqual(
    Array.from({ length: 6 }, () => ({ kind: "report", load: { clients: 0, adopted: 0 }, services: [] })),
  );
});

describe("without its control process it", () => {
  it("takes no more clients, and lets those it has go on for eight seconds", async () => {
    const { handle, closed } = watched();
    const client = await connected(await serving(handle));
    expect(closed()).toBe(false);
    hangUp();
    expect(closed()).toBe(true);
    await clock.advance(7_900);
    client.send(" there");
    await client.expect("hi there");
    expect(exited).toBe(false);
    await clock.advance(200);
    await client.expectEnd();
    await until(() => exited, { what: "the worker's end" });
  });

  it("ends at once when nobody is there", async () => {
    await serving();
    hangUp();
    await until(() => exited, { what: "the worker's end" });
  });
});

describe("a socket", () => {
  it("that does not come within five seconds is asked for again, and one that comes later is closed", async () => {
    apply(1, {});
    await clock.advance(4_999);
    expect(kinds("listen")).toHaveLength(1);
    expect(kinds("settled")).toEqual([]);
    await clock.advance(2);
    await until(() => kinds("settled").length === 1, { what: "the failure" });
    await clock.advance(1_000);
    expect(kinds("listen")).toHaveLength(2);
    const late = watched();
    tell({ kind: "listening", ask: kinds("listen")[0]?.ask ?? -1 }, late.handle);
    expect(late.closed()).toBe(true);
    tell({ kind: "listening", ask: kinds("listen")[1]?.ask ?? -1 }, boundHandle(ADDRESS));
    await until(
      async () => {
        await clock.advance(1_000);
        return state()?.state === "bound";
      },
      { what: "the listener" },
    );
  });

  it("that was refused is asked for again", async () => {
    apply(1, {});
    await until(() => kinds("listen").length === 1, { what: "the question for a socket" });
    const error = { code: "EADDRINUSE", message: "bind EADDRINUSE" };
    tell({ kind: "listening", ask: kinds("listen")[0]?.ask ?? -1, error });
    await until(() => state()?.state === "failed", { what: "the failure" });
    expect(state()?.reason).toContain("in use");
    await clock.advance(1_000);
    expect(kinds("listen")).toHaveLength(2);
  });
});

it("passes clients on beyond its share, sixty-four at a time, and keeps the rest", async () => {
  const port = await serving();
  tell({ kind: "share", clients: 1 });
  // Eight are below what is worth passing on; sixty-four leave; eight stay as there is no way for them.
  for (let n = 0; n < 80; n++) connecting(port);
  const over = () => sent.filter(({ message }) => message.kind === "over");
  const load = () => kinds("report").at(-1)?.load.clients;
  await until(
    async () => {
      await clock.advance(1_000);
      return load() === 16;
    },
    { what: "those that stay" },
  );
  expect(over()).toHaveLength(64);
  for (const { left } of over().slice(0, 2)) left();
  for (let n = 0; n < 3; n++) connecting(port);
  await until(
    async () => {
      await clock.advance(1_000);
      return load() === 17;
    },
    { what: "one more that stays" },
  );
  expect(over()).toHaveLength(66);
});

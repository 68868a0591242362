// Connections opened and dropped at every stage of an exchange, by a FIN and by a reset: afterwards nothing is left.
import { readdirSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { type FakeClock, fakeClock, until } from "@smartstack/core/testing";
import { expect, it } from "vitest";
import { lentPieces } from "../../packages/proxy/src/http/held.ts";
import { DEFAULT_TIMEOUTS, type ServiceSpec } from "../../packages/proxy/src/snapshot.ts";
import {
  type Bench,
  backendSpec,
  listenOn,
  type RawClient,
  rawClient,
  startBench,
} from "../../packages/proxy/src/testing/bench.ts";
import { usedBytes } from "../support/memory.mjs";

const CONNECTIONS = Number(process.env.CHURN_CONNECTIONS ?? 2_000);
const AT_ONCE = 50;
/** Longer than every timeout that waits for somebody who is gone. */
const ALL_TIMEOUTS_MS = 10 * 60_000;
const GROWTH_BYTES_MAX = 4 * 1024 * 1024;

const H = "Host: a\r\n";
/** What is sent, and what of an answer is waited for before the drop. */
type Stage = readonly [string, RegExp | undefined];
const HTTP: readonly Stage[] = [
  ["", undefined],
  ["GET / HT", undefined],
  [`GET /silent HTTP/1.1\r\n${H}\r\n`, undefined],
  [`POST /silent HTTP/1.1\r\n${H}Content-Length: 100000\r\n\r\n${"x".repeat(50_000)}`, undefined],
  [`POST /silent HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`, undefined],
  [`GET /part HTTP/1.1\r\n${H}\r\n`, /part/],
  [`GET /big HTTP/1.1\r\n${H}\r\n`, /xxx/],
  [`GET /dies HTTP/1.1\r\n${H}\r\n`, undefined],
  [`GET /ok HTTP/1.1\r\n${H}\r\n`, /ok$/],
  [`GET /ok HTTP/1.1\r\n${H}Connection: close\r\n\r\n`, undefined],
  [`GET /ok HTTP/1.1\r\n${H}\r\n`.repeat(20), /ok/],
  [`GET /ws HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly`, /101/],
  ["GARBAGE\r\n\r\n", /400/],
  [`POST /early HTTP/1.1\r\n${H}Content-Length: 9\r\n\r\nx`, /413/],
];

const HEADER = "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n";
const TCP: readonly Stage[] = [
  ["", undefined],
  ["PROXY TC", undefined],
  ["GARBAGE\r\n\r\n", undefined],
  [HEADER, undefined],
  [`${HEADER}GET /silent HTTP`, undefined],
  [`${HEADER}GET /part HTTP`, /part/],
  [`${HEADER}GET /big HTTP`, /xxx/],
  [`${HEADER}GET /dies HTTP`, undefined],
  [`${HEADER}${"x".repeat(200_000)}`, undefined],
];

/** What is served, how it may be dropped, and how many connections of the whole take it: TCP knows fewer states. */
const KINDS: readonly (readonly [string, Partial<ServiceSpec>, readonly Stage[], number])[] = [
  ["HTTP", {}, HTTP, Math.ceil(CONNECTIONS * 0.75)],
  [
    "TCP behind a PROXY header",
    // With no time of their own to end by, sessions that outlive their ends are found.
    { mode: "tcp", acceptProxy: true, sendProxy: "v1", timeouts: { ...DEFAULT_TIMEOUTS, halfClosedMs: 0 } },
    TCP,
    Math.ceil(CONNECTIONS * 0.25),
  ],
];

const ANSWERS: Readonly<Record<string, string>> = {
  part: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
  big: `HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n${"x".repeat(1_000_000)}`,
  ok: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  ws: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  early: "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
};

async function startBackend(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      for (const [, path] of bytes.toString("latin1").matchAll(/^\w+ \/(\w+) HTTP/gm)) {
        if (path === "dies") socket.resetAndDestroy();
        else socket.write(ANSWERS[path ?? ""] ?? "");
      }
    });
  });
  const port = await listenOn(server, 0);
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, close };
}

async function oneConnection(port: number, stages: readonly Stage[], n: number): Promise<void> {
  const [bytes, wanted] = stages[n % stages.length] as Stage;
  const client: RawClient = rawClient(port);
  client.send(bytes);
  if (wanted !== undefined) await client.expect(wanted);
  else await new Promise((resolve) => client.socket.once("connect", resolve));
  // Whatever stage it was in is reached on the next turns; some are dropped before.
  for (let turns = n % 5; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  if (n % 2 === 0) client.socket.destroy();
  else client.socket.resetAndDestroy();
  await until(() => client.closed(), { what: "the client's own end", everyMs: 2 });
}

async function churn(bench: Bench, clock: FakeClock, stages: readonly Stage[], connections: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < connections) await oneConnection(bench.port(), stages, next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await until(
    async () => {
      await clock.advance(ALL_TIMEOUTS_MS);
      return clock.pending() === 0 && bench.proxy.status()[0]?.counters.activeClients === 0;
    },
    { what: "no client and no timer" },
  );
}

/** Sockets of this process, as the kernel counts them. */
function openSockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // Closed while we looked.
      return false;
    }
  }).length;
}

it.each(KINDS)(
  "%s: dropped connections leave no socket, timer or buffer behind",
  async (_, change, stages, connections) => {
    const backend = await startBackend();
    const clock = fakeClock();
    const bench = await startBench({ backends: [backendSpec("b", backend.port)], ...change }, { clock });
    bench.onClose(backend.close);
    try {
      const socketsBefore = openSockets();
      await churn(bench, clock, stages, Math.ceil(connections / 4));
      await until(() => openSockets() <= socketsBefore, { what: `no more than ${socketsBefore} sockets` });
      const bytesBefore = usedBytes();
      await churn(bench, clock, stages, connections);
      await until(() => openSockets() <= socketsBefore, { what: `no more than ${socketsBefore} sockets` });
      // What a handle kept is let go some turns after the collection that found it.
      await until(() => usedBytes() - bytesBefore < GROWTH_BYTES_MAX, { what: "no more memory in use", everyMs: 50 });
      const [service] = bench.proxy.status();
      expect(service?.counters.connections).toBe(Math.ceil(connections / 4) + connections);
      expect(service?.backends[0]?.counters.active).toBe(0);
      expect(lentPieces()).toBe(0);
    } finally {
      await bench.close();
    }
  },
  60_000 + CONNECTIONS * 20,
);

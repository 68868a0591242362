import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Clock, eventBus, type StackEvent, systemClock } from "@smartstack/core";
import { seededRandom, until } from "@smartstack/core/testing";
import type { Proxy as DataPlane } from "../data-plane.ts";
import { createPool } from "../pool.ts";
import { createProbe } from "../probes/index.ts";
import { createProxy, type ProxyDeps } from "../proxy.ts";
import { createService, type Service, type Surroundings } from "../service.ts";
import { type BackendSpec, DEFAULT_CHECK, DEFAULT_TIMEOUTS, type ServiceSpec } from "../snapshot.ts";
import { createTimerWheel } from "../timer-wheel.ts";

/** A proxy with one service on a free port, and everything the test opened, so that `close` leaves nothing behind. */
export interface Bench {
  readonly proxy: DataPlane;
  readonly events: StackEvent[];
  /** Applies the service anew with these changes, kept for the next call. */
  apply(change: Partial<ServiceSpec>): Promise<void>;
  port(): number;
  /** Registers something to close at the end, last in first out. */
  onClose(close: () => void | Promise<void>): void;
  close(): Promise<void>;
}

export async function startBench(first: Partial<ServiceSpec>, deps: Partial<ProxyDeps> = {}): Promise<Bench> {
  const bus = eventBus();
  const events: StackEvent[] = [];
  bus.subscribe((event) => events.push(event));
  const proxy = createProxy({ clock: systemClock, random: seededRandom(1), events: bus, ...deps });
  let spec: ServiceSpec = serviceSpec(first);
  let revision = 0;
  const closers: (() => void | Promise<void>)[] = [];
  const bench: Bench = {
    proxy,
    events,
    async apply(change) {
      spec = { ...spec, ...change };
      proxy.apply({ revision: ++revision, services: [spec] });
      await proxy.settled();
    },
    port: () => Number(proxy.status()[0]?.listeners[0]?.address.split(":").at(-1)),
    onClose: (close) => closers.unshift(close),
    async close() {
      await proxy.close({ graceMs: 0 });
      for (const close of closers) await close();
    },
  };
  await bench.apply({});
  return bench;
}

export function serviceSpec(change: Partial<ServiceSpec>): ServiceSpec {
  return {
    name: "web",
    mode: "http",
    listen: [{ host: "127.0.0.1", port: 0 }],
    balance: "round_robin",
    check: DEFAULT_CHECK,
    timeouts: DEFAULT_TIMEOUTS,
    host: "keep",
    stale: false,
    backends: [],
    ...change,
  };
}

/** A service without a listener, for connections that a test makes itself. */
export function startService(change: Partial<ServiceSpec>, clock: Clock): [Service, Surroundings] {
  const deps = { clock, random: seededRandom(1), events: eventBus() };
  const spec = serviceSpec(change);
  const pool = createPool(spec, { ...deps, probe: createProbe(clock), onHealth: undefined });
  return [
    createService(spec, pool, clock.monotonic()),
    { ...deps, wheel: createTimerWheel(clock), shedding: { share: 0 } },
  ];
}

export function backendSpec(key: string, port: number, change: Partial<BackendSpec> = {}): BackendSpec {
  return { key, host: "127.0.0.1", port, weight: 1, state: "up", suspect: false, ...change };
}

/** What a raw backend saw and holds. */
export interface RawBackend {
  readonly port: number;
  /** One entry a connection: everything it received, latin1. */
  readonly received: string[];
  readonly sockets: Socket[];
  readonly server: Server;
  close(): Promise<void>;
}

/** A backend that does just what `onData` says; `all` is everything this connection received so far. */
export async function rawBackend(
  onData: (socket: Socket, all: string, connection: number) => void,
  onConnect: (socket: Socket, connection: number) => void = () => undefined,
): Promise<RawBackend> {
  const received: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const connection = received.push("") - 1;
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      received[connection] += chunk.toString("latin1");
      onData(socket, received[connection] as string, connection);
    });
    onConnect(socket, connection);
  });
  const port = await listenOn(server, 0);
  return {
    port,
    received,
    sockets,
    server,
    close: () => closeServer(server, sockets),
  };
}

export function listenOn(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

export function closeServer(server: Server, sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** A port where nothing listens: bound once, then let go. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listenOn(server, 0);
  await closeServer(server, []);
  return port;
}

/** A client that sends bytes as they are and remembers what comes back. */
export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far, latin1. */
  text(): string;
  ended(): boolean;
  closed(): boolean;
  error(): NodeJS.ErrnoException | undefined;
  send(bytes: string | Buffer): void;
  /** Waits until the received text matches. */
  expect(pattern: RegExp | string): Promise<string>;
  expectEnd(): Promise<string>;
}

export function rawClient(port: number): RawClient {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  let text = "";
  let ended = false;
  let error: NodeJS.ErrnoException | undefined;
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    ended = true;
  });
  socket.on("error", (thrown) => {
    error = thrown;
  });
  const closed = (): boolean => socket.closed;
  return {
    socket,
    text: () => text,
    ended: () => ended,
    closed,
    error: () => error,
    send: (bytes) => {
      socket.write(bytes);
    },
    async expect(pattern) {
      const found = (): boolean => (typeof pattern === "string" ? text.includes(pattern) : pattern.test(text));
      await until(found, { what: `${pattern} in ${JSON.stringify(text.slice(0, 400))}`, timeoutMs: 5_000, everyMs: 2 });
      return text;
    },
    async expectEnd() {
      await until(() => ended || closed(), { what: "the end of the connection", timeoutMs: 5_000, everyMs: 2 });
      socket.destroy();
      return text;
    },
  };
}

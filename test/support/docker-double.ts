import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Certificates } from "./certificates.ts";

/** How requests of one kind go wrong. */
export type Fault = "403" | "500" | "half" | "hang" | "reset" | "nonsense";
type Call = "info" | "ping" | "list" | "inspect" | "events";

export interface DoubledContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly port: number;
  /** As `NAME=value`. */
  readonly env: readonly string[];
  readonly networkMode: string;
  readonly stopSignal: string;
  /** Where its port is published, at all addresses; undefined: nowhere. */
  published: number | undefined;
  running: boolean;
  /** Wall clock. */
  startedMs: number;
}

export interface DoubleOptions {
  /** Default: a unix socket. `tls` asks for a certificate of the client. */
  readonly listen?: "tcp" | { readonly tls: Certificates };
  readonly engineId?: string;
}

/**
 * An engine that lies, stalls and breaks off on demand: what no real one can be made to do. It has one network, the
 * loopback. As behind a socket proxy that lets GET and HEAD pass, everything else is answered with 403.
 */
export interface DockerDouble {
  readonly host: string;
  /** What was asked for, as `METHOD path`. */
  readonly requests: readonly string[];
  readonly faults: Map<Call, Fault>;
  /** Inspects of this container fail with 500. */
  readonly broken: Set<string>;
  /** The list has these containers, but inspects find them no more. */
  readonly vanished: Set<string>;
  add(
    container: Pick<DoubledContainer, "labels" | "port"> &
      Partial<Pick<DoubledContainer, "env" | "networkMode" | "stopSignal" | "published">>,
  ): DoubledContainer;
  /** Changes the container; the event is sent unless events are muted. */
  stop(id: string): void;
  /** A new run, published elsewhere if `published` says so. */
  restart(id: string, published?: number): void;
  remove(id: string): void;
  /** Events are lost without a sign while this is on. */
  mute(on: boolean): void;
  /** Sends raw bytes to every subscriber. */
  send(bytes: string): void;
  event(action: string, id: string, attributes?: Readonly<Record<string, string>>): void;
  /** Ends every event stream: properly, or by breaking the connection. */
  endStreams(how: "end" | "destroy"): void;
  subscribers(): number;
  close(): Promise<void>;
}

export async function startDockerDouble(options: DoubleOptions = {}): Promise<DockerDouble> {
  const folder = mkdtempSync(path.join(tmpdir(), "docker-double-"));
  const socketPath = path.join(folder, "docker.sock");
  const containers = new Map<string, DoubledContainer>();
  const streams = new Set<ServerResponse>();
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  const faults = new Map<Call, Fault>();
  const broken = new Set<string>();
  const vanished = new Set<string>();
  let muted = false;
  const engineId = options.engineId ?? "DOUBLE";
  let next = 1;

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? "/", "http://docker");
    requests.push(`${request.method} ${decodeURIComponent(url.pathname + url.search)}`);
    const inspected = /^\/containers\/([^/]+)\/json$/.exec(url.pathname)?.[1];
    const call = callOf(url.pathname);
    const forbidden = request.method !== "GET" && request.method !== "HEAD" ? "403" : undefined;
    const fault =
      forbidden ?? faults.get(call) ?? (inspected !== undefined && broken.has(inspected) ? "500" : undefined);
    if (fault !== undefined) {
      fail(response, fault);
      return;
    }
    if (call === "events") {
      response.writeHead(200, { "content-type": "application/json" });
      response.flushHeaders();
      streams.add(response);
      response.on("close", () => streams.delete(response));
      return;
    }
    const isVanished = inspected !== undefined && vanished.has(inspected);
    const answer = isVanished ? undefined : answerTo(call, inspected, containers, engineId);
    response.writeHead(answer === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer ?? { message: "no such container" }));
  };
  const { listen } = options;
  const server = typeof listen === "object" ? createTlsServer(tlsOptions(listen.tls), handle) : createServer(handle);
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const host = await listening(server, listen, socketPath);

  const send = (bytes: string): void => {
    if (!muted) for (const stream of streams) stream.write(bytes);
  };
  const event = (action: string, id: string, attributes: Readonly<Record<string, string>> = {}): void => {
    const labels = containers.get(id)?.labels ?? {};
    const json = { Type: "container", Action: action, Actor: { ID: id, Attributes: { ...labels, ...attributes } } };
    send(`${JSON.stringify(json)}\n`);
  };
  return {
    host,
    requests,
    faults,
    broken,
    vanished,
    add({ labels, port, env = [], networkMode = "net", stopSignal = "", published }) {
      const digits = Buffer.from(engineId).toString("hex").slice(0, 4);
      const id = `${digits}${String(next++).padStart(8, "0")}`.padEnd(64, "c");
      const startedMs = Date.now();
      const container = { id, labels, port, env, networkMode, stopSignal, published, running: true, startedMs };
      containers.set(container.id, container);
      event("start", container.id);
      return container;
    },
    stop(id) {
      const container = containers.get(id);
      if (container !== undefined) container.running = false;
      event("die", id, { exitCode: "0" });
    },
    restart(id, published) {
      const container = containers.get(id);
      if (container !== undefined) Object.assign(container, { published, startedMs: Date.now(), running: true });
      event("die", id);
      event("start", id);
    },
    remove(id) {
      containers.delete(id);
      event("destroy", id);
    },
    mute(on) {
      muted = on;
    },
    send,
    event,
    endStreams(how) {
      for (const stream of [...streams]) {
        if (how === "end") stream.end();
        else stream.destroy();
      }
    },
    subscribers: () => streams.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function tlsOptions({ ca, server }: Certificates): object {
  const files = { ca: readFileSync(ca), cert: readFileSync(server.cert), key: readFileSync(server.key) };
  return { ...files, requestCert: true, rejectUnauthorized: true };
}

async function listening(server: Server, listen: DoubleOptions["listen"], socketPath: string): Promise<string> {
  const where = listen === undefined ? { path: socketPath } : { host: "127.0.0.1", port: 0 };
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return listen === undefined ? `unix://${socketPath}` : `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function callOf(pathname: string): Call {
  if (pathname === "/_ping") return "ping";
  if (pathname === "/info") return "info";
  if (pathname === "/events") return "events";
  return pathname === "/containers/json" ? "list" : "inspect";
}

function fail(response: ServerResponse, fault: Fault): void {
  if (fault === "nonsense") response.writeHead(200).end('{"message":"page not found"}');
  else if (fault === "403") response.writeHead(403).end("<html>Forbidden</html>");
  else if (fault === "500") response.writeHead(500).end('{"message":"server error"}');
  else if (fault === "half") {
    response.writeHead(200, { "content-length": "1000" });
    response.write('[{"Id":"c1", "Na');
    response.socket?.end();
  } else if (fault === "reset") response.socket?.destroy();
}

function answerTo(
  call: Call,
  inspected: string | undefined,
  containers: ReadonlyMap<string, DoubledContainer>,
  engineId: string,
): unknown {
  if (call === "info") return { ID: engineId, Name: "double" };
  if (call === "ping") return "OK";
  if (call === "list") return [...containers.values()].map(summary);
  const container = containers.get(inspected ?? "");
  return container === undefined ? undefined : inspection(container);
}

function summary({ id, labels, port, published, running, startedMs }: DoubledContainer): unknown {
  const binding = { IP: "0.0.0.0", PrivatePort: port, PublicPort: published, Type: "tcp" };
  return {
    Id: id,
    Names: [`/name-${id.slice(0, 12)}`],
    Labels: labels,
    State: running ? "running" : "exited",
    Status: running ? `Up ${Math.floor((Date.now() - startedMs) / 1_000)} seconds` : "Exited (0)",
    Ports: running && published !== undefined ? [binding] : [],
    NetworkSettings: { Networks: networks(running) },
  };
}

function inspection(container: DoubledContainer): unknown {
  const { id, labels, port, env, networkMode, stopSignal, published, running, startedMs } = container;
  const bindings = [{ HostIp: "0.0.0.0", HostPort: String(published) }];
  return {
    Id: id,
    Name: `/name-${id.slice(0, 12)}`,
    State: { Status: running ? "running" : "exited", Running: running, StartedAt: new Date(startedMs).toISOString() },
    Config: {
      Image: "double",
      Labels: labels,
      Env: env,
      StopSignal: stopSignal,
      ExposedPorts: { [`${port}/tcp`]: {} },
    },
    HostConfig: { NetworkMode: networkMode },
    NetworkSettings: {
      Ports: running && published !== undefined ? { [`${port}/tcp`]: bindings } : {},
      Networks: networks(running),
    },
  };
}

function networks(running: boolean): unknown {
  return { net: { NetworkID: "n1", IPAddress: running ? "127.0.0.1" : "" } };
}

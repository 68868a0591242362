// Clients and backends over IPv4, IPv6 and unix sockets, in every combination, on stream handles and on public sockets.
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@smartstack/core/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { useHandles } from "./handles.ts";
import { type Bench, backendSpec, closeServer, startBench } from "./testing/bench.ts";

type Family = "IPv4" | "IPv6" | "unix";
const FAMILIES: readonly Family[] = ["IPv4", "IPv6", "unix"];
const HOSTS = { IPv4: "127.0.0.1", IPv6: "::1" } as const;
const PAIRS = FAMILIES.flatMap((client) => FAMILIES.map((backend) => [client, backend] as const));
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let folder: string;
let bench: Bench;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "smartstack-families-"));
});
afterEach(async () => {
  await bench.close();
  useHandles(true);
  await rm(folder, { recursive: true });
});

/** A backend that answers a head with `OK`, and an end with all it was told. */
async function startBackend(family: Family) {
  const sockets: Socket[] = [];
  const told: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const at = told.push("") - 1;
    sockets.push(socket.on("error", () => undefined));
    socket.on("data", (bytes) => {
      told[at] += bytes.toString("latin1");
      if (told[at]?.endsWith("\r\n\r\n")) socket.write(OK);
    });
    socket.on("end", () => socket.end(told[at] ?? ""));
  });
  const path = join(folder, "backend.sock");
  const where = family === "unix" ? { path } : { host: HOSTS[family], port: 0 };
  await new Promise<void>((resolve) => server.listen(where, resolve));
  const address = server.address();
  const port = typeof address === "string" || address === null ? 0 : address.port;
  const spec = backendSpec("b", port, { host: family === "unix" ? `unix:${path}` : HOSTS[family] });
  return { spec, told, close: () => closeServer(server, sockets) };
}

async function start(mode: "http" | "tcp", client: Family, family: Family) {
  const backend = await startBackend(family);
  const path = join(folder, "listener.sock");
  const listen = client === "unix" ? [{ path }] : [{ host: HOSTS[client], port: 0 }];
  bench = await startBench({ mode, listen, backends: [backend.spec] });
  bench.onClose(backend.close);
  expect(bench.proxy.status()[0]?.listeners).toMatchObject([{ state: "bound" }]);
  const socket = connect(client === "unix" ? { path } : { host: HOSTS[client], port: bench.port() });
  bench.onClose(() => {
    socket.destroy();
  });
  let text = "";
  socket.on("data", (bytes) => {
    text += bytes.toString("latin1");
  });
  return { backend, socket, text: () => text };
}

describe.each([true, false])("with stream handles: %s", (handles) => {
  it.each(PAIRS)("a client over %s has its requests answered by a backend over %s", async (client, family) => {
    useHandles(handles);
    const { backend, socket, text } = await start("http", client, family);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => text() === OK, { what: "the answer" });
    socket.write("GET /again HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => text() === OK + OK, { what: "the second answer" });
    expect(backend.told).toHaveLength(1);
    const forwardedFor = backend.told[0]?.match(/X-Forwarded-For: (.*)\r\n/)?.[1];
    expect(forwardedFor).toBe(client === "unix" ? undefined : HOSTS[client]);
  });

  it.each(PAIRS)("a client over %s speaks with a backend over %s, end behind end", async (client, family) => {
    useHandles(handles);
    const { socket, text } = await start("tcp", client, family);
    socket.end("all of it");
    await until(() => socket.readableEnded, { what: "the backend's end" });
    expect(text()).toBe("all of it");
    await until(() => bench.proxy.status()[0]?.counters.activeClients === 0, { what: "the session's end" });
  });
});

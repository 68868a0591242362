import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { useHandles } from "./handles.ts";
import { proxyHeader } from "./proxy-protocol/write.ts";
import { DEFAULT_CHECK, DEFAULT_TIMEOUTS, type ServiceSpec } from "./snapshot.ts";
import {
  type Bench,
  backendSpec,
  closeServer,
  type RawClient,
  rawBackend,
  rawClient,
  startBench,
} from "./testing/bench.ts";

const ENDS = { source: { address: "192.0.2.1", port: 40_000 }, target: { address: "198.51.100.7", port: 443 } };
const V1 = "PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n";
const GET = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let bench: Bench;
afterEach(async () => {
  await bench.close();
  useHandles(true);
});

function client(): RawClient {
  const made = rawClient(bench.port());
  bench.onClose(() => {
    made.socket.destroy();
  });
  return made;
}

/** A service with one backend that answers whatever `answer` says. */
async function start(change: Partial<ServiceSpec>, answer: (all: string) => string | undefined) {
  const backend = await rawBackend((socket, all) => {
    const text = answer(all);
    if (text !== undefined) socket.write(text);
  });
  bench = await startBench({ backends: [backendSpec("b", backend.port)], ...change });
  bench.onClose(backend.close);
  return backend;
}

const refused = (): number | undefined => bench.proxy.status()[0]?.counters.refused;

describe.each([true, false])("the PROXY protocol, with stream handles: %s", (handles) => {
  it.each([
    ["v1", Buffer.from(V1)],
    ["v2", proxyHeader("v2", ENDS)],
  ])("tells an HTTP backend the client of a %s header, however it is cut", async (_version, header) => {
    useHandles(handles);
    const backend = await start({ acceptProxy: true }, (all) => (all.endsWith("\r\n\r\n") ? OK : undefined));
    const whole = client();
    whole.socket.write(Buffer.concat([header, Buffer.from(GET)]));
    await whole.expect("ok");
    const cut = client();
    for (const byte of header) {
      cut.socket.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    cut.send(GET);
    await cut.expect("ok");
    expect(backend.received.join("").match(/X-Forwarded-For: 192\.0\.2\.1\r\n/g)).toHaveLength(2);
  });

  it("passes on what a TCP client said behind its header", async () => {
    useHandles(handles);
    const backend = await start({ mode: "tcp", acceptProxy: true }, (all) => (all === "hello" ? "hi" : undefined));
    const one = client();
    one.send(`${V1}hel`);
    await until(() => backend.received[0] === "hel", { what: "the first bytes" });
    one.send("lo");
    await one.expect("hi");
  });

  it("closes who does not begin with a header, and counts it", async () => {
    useHandles(handles);
    await start({ acceptProxy: true }, () => OK);
    const one = client();
    one.send(GET);
    expect(await one.expectEnd()).toBe("");
    const two = client();
    two.send("PROXY TCP4");
    two.socket.end();
    expect(await two.expectEnd()).toBe("");
    expect(refused()).toBe(2);
    expect(bench.proxy.status()[0]?.counters.activeClients).toBe(0);
  });

  it.each(["v1", "v2"] as const)("sends a %s header before a TCP client's bytes", async (version) => {
    useHandles(handles);
    const backend = await start({ mode: "tcp", sendProxy: version }, (all) =>
      all.endsWith("hello") ? "hi" : undefined,
    );
    const one = client();
    one.send("hello");
    await one.expect("hi");
    const address = { address: "127.0.0.1", port: Number(one.socket.localPort) };
    const header = proxyHeader(version, { source: address, target: { ...address, port: bench.port() } });
    expect(backend.received[0]).toBe(`${header.toString("latin1")}hello`);
  });

  it("passes a header on, from client to backend", async () => {
    useHandles(handles);
    const backend = await start({ mode: "tcp", acceptProxy: true, sendProxy: "v1" }, () => "hi");
    const one = client();
    one.socket.write(proxyHeader("v2", ENDS));
    await one.expect("hi");
    expect(backend.received[0]).toBe(V1);
  });

  it("opens a connection for each HTTP request, as its header speaks for one client only", async () => {
    useHandles(handles);
    const backend = await start({ sendProxy: "v1" }, (all) => (all.endsWith("\r\n\r\n") ? OK : undefined));
    const one = client();
    for (let count = 0; count < 2; count++) {
      one.send(GET);
      await one.expect(OK.repeat(count + 1));
    }
    expect(backend.received).toHaveLength(2);
    for (const received of backend.received) expect(received).toMatch(/^PROXY TCP4 127\.0\.0\.1 .*\r\nGET \/ HTTP/);
  });
});

it("gives a header as long as the head of a request may take", async () => {
  const clock = fakeClock();
  const backend = await rawBackend(() => undefined);
  bench = await startBench(
    {
      acceptProxy: true,
      backends: [backendSpec("b", backend.port)],
      timeouts: { ...DEFAULT_TIMEOUTS, clientHeadMs: 500 },
    },
    { clock },
  );
  bench.onClose(backend.close);
  const one = client();
  one.send("PROXY ");
  await until(() => bench.proxy.status()[0]?.counters.activeClients === 1, { what: "the client" });
  await until(
    async () => {
      clock.advance(100);
      return one.ended();
    },
    { what: "its end" },
  );
  expect(refused()).toBe(1);
});

it("probes backends that want a header with one that speaks for the proxy itself", async () => {
  const check = {
    ...DEFAULT_CHECK,
    type: "http",
    when: "always",
    intervalMs: 100,
    path: "/up",
    sendProxy: "v1",
  } as const;
  const backend = await start({ check }, (all) => (all.endsWith("\r\n\r\n") ? OK : undefined));
  await until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "a probe" });
  expect(backend.received[0]).toMatch(/^PROXY UNKNOWN\r\nGET \/up HTTP/);
});

describe("backends on unix sockets", () => {
  it.each(["http", "tcp"] as const)("serves them in %s mode, and probes them", async (mode) => {
    const folder = mkdtempSync(path.join(tmpdir(), "smartstack-unix-"));
    const file = path.join(folder, "app.sock");
    let heard = "";
    const server = createServer((socket) =>
      socket
        .on("error", () => undefined)
        .on("data", (bytes) => {
          heard += bytes;
          socket.end(OK);
        }),
    );
    await new Promise<void>((resolve) => server.listen(file, resolve));
    const check = { ...DEFAULT_CHECK, when: "always", intervalMs: 50 } as const;
    const backend = backendSpec("b", 0, { host: `unix:${file}` });
    bench = await startBench({ mode, check, host: "backend", backends: [backend] });
    bench.onClose(async () => {
      await closeServer(server, []);
      rmSync(folder, { recursive: true });
    });
    const one = client();
    one.send(GET);
    await one.expect("ok");
    if (mode === "http") expect(heard).toMatch(/Host: localhost\r\n/);
    await until(() => bench.proxy.status()[0]?.backends[0]?.health === "up", { what: "a probe that passes" });
  });
});

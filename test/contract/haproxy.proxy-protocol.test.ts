import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { eventBus, systemClock } from "@smartstack/core";
import { createProxy, DEFAULT_CHECK, DEFAULT_TIMEOUTS, type ServiceSpec } from "@smartstack/proxy";
import { describe, expect, onTestFinished, test } from "vitest";
import { startHaProxy } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";

const DEFAULTS = "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n";

/** Answers with the X-Forwarded-For it got. */
async function startBackend(): Promise<number> {
  const server = createServer((request, response) => response.end(String(request.headers["x-forwarded-for"])));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Our proxy with one backend. */
async function startOurs(port: number, backendPort: number, change: Partial<ServiceSpec>): Promise<void> {
  const proxy = createProxy({ clock: systemClock, random: Math.random, events: eventBus() });
  onTestFinished(() => proxy.close({ graceMs: 0 }));
  const backend = { key: "b", host: "127.0.0.1", port: backendPort, weight: 1, state: "up", suspect: false } as const;
  const spec: ServiceSpec = {
    name: "web",
    mode: "http",
    listen: [{ host: "127.0.0.1", port }],
    balance: "round_robin",
    check: DEFAULT_CHECK,
    timeouts: DEFAULT_TIMEOUTS,
    host: "keep",
    stale: false,
    backends: [backend],
    ...change,
  };
  proxy.apply({ revision: 1, services: [spec] });
  await proxy.settled();
}

async function startTheirs(port: number, lines: string): Promise<void> {
  const haproxy = await startHaProxy(`${DEFAULTS}listen web\n ${lines}`, port);
  onTestFinished(() => haproxy.stop());
}

/** Asks from 127.0.0.9, so that the client's address is nobody else's. */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, localAddress: "127.0.0.9" });
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
    socket.end("GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
  });
}

describe("the PROXY protocol with HAProxy", () => {
  test.each(["send-proxy", "send-proxy-v2"])("we understand its %s", async (option) => {
    const [ours, theirs] = [await freePort(), await freePort()];
    await startOurs(ours, await startBackend(), { acceptProxy: true });
    await startTheirs(theirs, `bind 127.0.0.1:${theirs}\n server ours 127.0.0.1:${ours} ${option}`);
    expect(await ask(theirs)).toMatch(/\r\n\r\n(?:9\r\n)?127\.0\.0\.9/);
  });

  test.each([
    ["v1", "http"],
    ["v2", "http"],
    ["v1", "tcp"],
    ["v2", "tcp"],
  ] as const)("it understands our %s in %s mode", async (sendProxy, mode) => {
    const [ours, theirs] = [await freePort(), await freePort()];
    const backend = await startBackend();
    const lines = [
      `bind 127.0.0.1:${theirs} accept-proxy`,
      // In http mode we name the client in a header as well: only what HAProxy itself believes counts.
      "http-request set-header X-Forwarded-For %[src]",
      `server app 127.0.0.1:${backend}`,
    ];
    await startTheirs(theirs, lines.join("\n "));
    await startOurs(ours, theirs, { sendProxy, mode });
    expect(await ask(ours)).toMatch(/\r\n\r\n(?:9\r\n)?127\.0\.0\.9/);
  });
});

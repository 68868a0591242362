import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "@smartstack/core";
import { afterEach, describe, expect, test } from "vitest";
import type { EngineVerdict } from "../containers.ts";
import type { ProbeRequest } from "./check.ts";
import { CHECKS } from "./index.ts";

let open: { readonly server: Server; readonly sockets: Set<Socket> }[] = [];

afterEach(async () => {
  for (const { server, sockets } of open) {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
  open = [];
});

async function listen(server: Server): Promise<{ readonly port: number; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({ server, sockets });
  return { port: (server.address() as AddressInfo).port, sockets };
}

function request(port: number, more: Partial<ProbeRequest> = {}): ProbeRequest {
  return {
    host: "127.0.0.1",
    port,
    options: {},
    timeoutMs: 300,
    published: false,
    engine: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
    ...more,
  };
}

describe("tcp", () => {
  test("accepts = passes", async () => {
    const { port } = await listen(createServer());
    expect(await CHECKS.tcp.probe(request(port))).toEqual({ passed: true, reason: "connected" });
  });

  test("behind a published port it must stay open", async () => {
    const { port } = await listen(createServer((socket) => socket.destroy()));
    expect(await CHECKS.tcp.probe(request(port, { published: true }))).toMatchObject({ passed: false });
    const { port: quiet } = await listen(createServer());
    expect((await CHECKS.tcp.probe(request(quiet, { published: true }))).passed).toBe(true);
    const { port: brief } = await listen(createServer((socket) => socket.end("bye\n")));
    expect((await CHECKS.tcp.probe(request(brief, { published: true }))).passed).toBe(true);
  });
});

test("docker says what the engine says", async () => {
  const say = async (health: EngineVerdict["health"], healthOutput?: string) =>
    CHECKS.docker.probe(request(1, { engine: { health, healthOutput } }));
  expect((await say("healthy")).passed).toBe(true);
  expect(await say("unhealthy")).toEqual({ passed: false, reason: "Docker says unhealthy" });
  expect(await say("unhealthy", "exit code 1: no")).toMatchObject({ passed: false, output: "exit code 1: no" });
  expect((await say(undefined)).passed).toBe(false);
  expect((await CHECKS.docker.probe(request(1))).passed).toBe(false);
});

import { createServer as createHttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "@smartstack/core";
import { afterEach, describe, expect, test } from "vitest";
import type { ProbeRequest } from "./check.ts";
import { CHECKS, type CheckType } from "./index.ts";

const ACTIVE = (Object.keys(CHECKS) as CheckType[]).filter((type) => CHECKS[type].active);

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

async function http(handler: RequestListener): Promise<number> {
  return (await listen(createHttpServer(handler))).port;
}

function request(port: number, more: Partial<ProbeRequest> = {}): ProbeRequest {
  return {
    host: "127.0.0.1",
    port,
    path: "/health",
    expect: undefined,
    timeoutMs: 300,
    published: false,
    engineHealth: undefined,
    clock: systemClock,
    ...more,
  };
}

describe.each(ACTIVE)("every active check: %s", (type) => {
  const { probe } = CHECKS[type];

  test("nobody listens: fails with the reason", async () => {
    const { port } = await listen(createServer());
    await new Promise((resolve) => open.pop()?.server.close(resolve));
    expect(await probe(request(port))).toMatchObject({ passed: false, reason: expect.stringMatching(/ECONNREFUSED/) });
  });

  test("settles within its timeout, and leaves nothing open", async () => {
    const { port, sockets } = await listen(createServer((socket) => socket.resume()));
    const startedMs = performance.now();
    await probe(request(port));
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await expect.poll(() => sockets.size).toBe(0);
  });

  test("a host that cannot be resolved is a failure, not an error", async () => {
    expect((await probe(request(80, { host: "no.such.host.invalid" }))).passed).toBe(false);
  });

  test("a server that resets every connection harms nobody", async () => {
    const { port } = await listen(createServer((socket) => socket.resetAndDestroy()));
    expect(typeof (await probe(request(port))).passed).toBe("boolean");
  });
});

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

describe("http", () => {
  test.each([
    [200, true],
    [204, true],
    [302, true],
    [404, false],
    [503, false],
  ])("status %i", async (status, passed) => {
    const port = await http((_, response) => response.writeHead(status, { location: "/elsewhere" }).end());
    expect(await CHECKS.http.probe(request(port))).toEqual({ passed, reason: `status ${status}` });
  });

  test("asks for the path, with the address as host", async () => {
    const seen: string[] = [];
    const port = await http((incoming, response) => {
      seen.push(`${incoming.method} ${incoming.url} ${incoming.headers.host}`);
      response.end();
    });
    await CHECKS.http.probe(request(port));
    expect(seen).toEqual([`GET /health 127.0.0.1:${port}`]);
  });

  test("the body must contain what is expected", async () => {
    const port = await http((_, response) => {
      response.write("all ");
      response.end("well");
    });
    expect((await CHECKS.http.probe(request(port, { expect: "all well" }))).passed).toBe(true);
    expect((await CHECKS.http.probe(request(port, { expect: "sick" }))).passed).toBe(false);
  });

  test("of a body without end only the beginning is read", async () => {
    const port = await http((_, response) => {
      response.on("error", () => undefined);
      const more = (): void => {
        while (!response.destroyed && response.write("x".repeat(16_384)));
      };
      response.on("drain", more);
      more();
    });
    expect(await CHECKS.http.probe(request(port, { expect: "never", timeoutMs: 5_000 }))).toMatchObject({
      passed: false,
      reason: expect.stringMatching(/lacks/),
    });
  });

  test("a server that is slow to answer fails at the timeout", async () => {
    const port = await http(() => undefined);
    expect((await CHECKS.http.probe(request(port))).reason).toBe("no answer within 300 ms");
  });
});

test("docker says what the engine says", async () => {
  const say = async (engineHealth: ProbeRequest["engineHealth"]) => CHECKS.docker.probe(request(1, { engineHealth }));
  expect((await say("healthy")).passed).toBe(true);
  expect(await say("unhealthy")).toEqual({ passed: false, reason: "Docker says unhealthy" });
  expect((await say(undefined)).passed).toBe(false);
});

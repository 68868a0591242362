import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "@smartstack/core";
import { expect, onTestFinished, test } from "vitest";
import type { ProbeResult } from "./check.ts";
import { CHECKS, checkText, optionsOf } from "./index.ts";

async function serve(handler: RequestListener): Promise<number> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function ask(port: number, options: Readonly<Record<string, unknown>> = {}, timeoutMs = 2_000): Promise<ProbeResult> {
  return CHECKS.http.probe({
    host: "127.0.0.1",
    port,
    options: optionsOf("http", options),
    timeoutMs,
    published: false,
    engine: undefined,
    clock: systemClock,
    signal: new AbortController().signal,
  });
}

test.each([
  [200, true],
  [204, true],
  [302, true],
  [399, true],
  [400, false],
  [404, false],
  [503, false],
])("status %i", async (status, passed) => {
  const port = await serve((_, response) => response.writeHead(status).end());
  expect(await ask(port)).toEqual({ passed, reason: `status ${status}` });
});

test.each([
  [200, 200, true],
  ["200-299", 299, true],
  ["200-299", 302, false],
  [[200, "401-404"], 403, true],
  [[200, "401-404"], 201, false],
  ["503", 503, true],
])("expected status %j, got %i", async (status, got, passed) => {
  const port = await serve((_, response) => response.writeHead(got).end());
  expect(await ask(port, { status })).toMatchObject({ passed });
});

test("a redirect is an answer, and is not followed", async () => {
  const asked: (string | undefined)[] = [];
  const port = await serve((request, response) => {
    asked.push(request.url);
    response.writeHead(302, { location: "/elsewhere" }).end();
  });
  expect(await ask(port, { path: "/a" })).toEqual({ passed: true, reason: "status 302" });
  expect(await ask(port, { path: "/b", status: 200 })).toMatchObject({ passed: false });
  expect(asked).toEqual(["/a", "/b"]);
});

test("asks with the method, path and headers of the configuration", async () => {
  const seen: string[] = [];
  const port = await serve((request, response) => {
    seen.push(`${request.method} ${request.url}`, ...request.rawHeaders);
    response.end();
  });
  await ask(port);
  expect(seen).toEqual([
    "GET /",
    ...["host", `127.0.0.1:${port}`, "connection", "close", "user-agent", "smartstack-nerve"],
  ]);
  seen.length = 0;
  await ask(port, { method: "HEAD", uri: "/health?deep=1", headers: { Host: "shop.test", "X-Probe": "yes" } });
  expect(seen).toEqual([
    "HEAD /health?deep=1",
    ...["host", "shop.test", "connection", "close", "user-agent", "smartstack-nerve", "x-probe", "yes"],
  ]);
});

test("the body must contain what is expected, wherever the pieces are cut", async () => {
  const port = await serve((_, response) => {
    response.write("all ");
    response.end("well");
  });
  expect(await ask(port, { expect: "all well" })).toEqual({
    passed: true,
    reason: 'status 200, body contains "all well"',
  });
  expect(await ask(port, { expect: "sick" })).toEqual({
    passed: false,
    reason: 'status 200, body lacks "sick"',
    output: "all well",
  });
});

test("what is expected need not be waited for longer than until it comes", async () => {
  const port = await serve((_, response) => response.write("ready, and more to come"));
  expect(await ask(port, { expect: "ready" })).toMatchObject({ passed: true });
});

test("of a body without end only the beginning is read", async () => {
  const port = await serve((_, response) => {
    response.on("error", () => undefined);
    const more = (): void => {
      while (!response.destroyed && response.write("x".repeat(16_384)));
    };
    response.on("drain", more);
    more();
  });
  const result = await ask(port, { expect: "never" }, 5_000);
  expect(result).toMatchObject({ passed: false, reason: expect.stringMatching(/lacks/) });
  expect(result.output?.length).toBeLessThanOrEqual(1_024);
});

test("why it failed is kept: the status, and what the body says, without control characters", async () => {
  const port = await serve((_, response) => response.writeHead(503).end("database\r\n\x1b[31m down\x00"));
  expect(await ask(port)).toEqual({ passed: false, reason: "status 503", output: "database [31m down" });
});

test("a failed status is the reason also when its body never ends, or breaks off", async () => {
  const stuck = await serve((_, response) => response.writeHead(500).write("oh"));
  expect((await ask(stuck, {}, 1_000)).reason).toBe("status 500");
  const broken = await serve((_, response) => {
    response.writeHead(500, { "content-length": "100" }).write("oh", () => response.destroy());
  });
  expect(await ask(broken)).toEqual({ passed: false, reason: "status 500", output: "oh" });
});

test("an expected body that breaks off fails", async () => {
  const port = await serve((_, response) => {
    response.writeHead(200, { "content-length": "100" }).write("oh", () => response.destroy());
  });
  expect(await ask(port, { expect: "well" })).toMatchObject({
    passed: false,
    reason: expect.stringMatching(/^the answer broke off/),
  });
});

test("a server that is slow to answer fails at the timeout", async () => {
  const port = await serve(() => undefined);
  expect((await ask(port, {}, 200)).reason).toBe("no answer within 200 ms");
});

test("a server that changes the protocol fails", async () => {
  const port = await serve((_, response) => {
    response.writeHead(101, { connection: "upgrade", upgrade: "other" }).end();
  });
  expect(await ask(port)).toMatchObject({ passed: false });
});

test("the originals' times add up to one", () => {
  const whole = (options: Readonly<Record<string, unknown>>): number | undefined =>
    CHECKS.http.timeoutMs?.(optionsOf("http", options), 1_000);
  expect(whole({})).toBe(1_000);
  expect(whole({ read_timeout: 3 })).toBe(3_000);
  expect(whole({ open_timeout: 0.2, ssl_timeout: "300ms" })).toBe(1_500);
  expect(whole({ read_timeout: 2, open_timeout: 1 })).toBe(3_000);
});

test("shown with its path", () => {
  const check = { type: "https", host: "::1", port: 8443, options: optionsOf("https", { uri: "/up" }) } as const;
  const rest = { published: false, intervalMs: 1, timeoutMs: 1, rise: 1, fall: 1, damping: undefined };
  expect(checkText({ ...check, ...rest })).toBe("https [::1]:8443/up");
});

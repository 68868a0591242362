// A backend's answer is held to the same rules as a request: what is ambiguous becomes 502, and is never pooled.
import { until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { type Bench, backendSpec, type RawBackend, rawBackend, rawClient, startBench } from "../testing/bench.ts";

let bench: Bench;
let backend: RawBackend;
afterEach(() => bench.close());

async function ask(answer: string, request = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n") {
  backend = await rawBackend((socket, all) => {
    if (all.endsWith("\r\n\r\n")) socket.write(Buffer.from(answer, "latin1"));
  });
  bench = await startBench({ backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  const client = rawClient(bench.port());
  bench.onClose(() => {
    client.socket.destroy();
  });
  client.send(request);
  return client;
}

async function notPooled(): Promise<void> {
  const { sockets } = backend;
  await until(() => sockets.every((socket) => socket.readableEnded || socket.destroyed), {
    what: "the upstream's end",
  });
}

const OK = "HTTP/1.1 200 OK\r\n";
const HEADS: readonly (readonly [string, string])[] = [
  ["nothing like HTTP", "SSH-2.0-OpenSSH_9\r\n"],
  ["HTTP/0.9", "<html>hello</html>"],
  ["HTTP/2", "HTTP/2 200 OK\r\n\r\n"],
  ["HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n"],
  ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
  ["a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["a status below 100", "HTTP/1.1 099 OK\r\n\r\n"],
  ["a status above 599", "HTTP/1.1 600 OK\r\n\r\n"],
  ["a status that is no number", "HTTP/1.1 2x0 OK\r\n\r\n"],
  ["a tab behind the version", "HTTP/1.1\t200 OK\r\n\r\n"],
  ["NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n"],
  ["lines that end in LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  ["a bare CR in a value", `${OK}X: a\rb\r\n\r\n`],
  ["NUL in a value", `${OK}X: a\0b\r\n\r\n`],
  ["a folded line", `${OK}X: a\r\n b\r\n\r\n`],
  ["a blank before a colon", `${OK}Content-Length : 2\r\n\r\nok`],
  ["an empty name", `${OK}: b\r\n\r\n`],
  ["a line without a colon", `${OK}junk\r\n\r\n`],
  ["length and chunked", `${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["two lengths", `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`],
  ["two equal lengths", `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`],
  ["a list of lengths", `${OK}Content-Length: 2, 2\r\n\r\nok`],
  ["a length with a sign", `${OK}Content-Length: +2\r\n\r\nok`],
  ["an empty length", `${OK}Content-Length:\r\n\r\n`],
  ["a length above 64 bits", `${OK}Content-Length: 18446744073709551621\r\n\r\n`],
  ["another coding", `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ["an unknown coding", `${OK}Transfer-Encoding: xchunked\r\n\r\n`],
  ["two codings", `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ["chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["chunked in a 204", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["chunked in a 103", "HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["101 header lines", `${OK}${"a: b\r\n".repeat(101)}\r\n`],
  ["a head above 16 KiB", `${OK}X: ${"x".repeat(17_000)}\r\n\r\n`],
  ["a flood of interim answers", "HTTP/1.1 100 Continue\r\n\r\n".repeat(17)],
  ["a protocol nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"],
];

describe("a head becomes 502 with", () => {
  it.each(HEADS)("%s", async (_, answer) => {
    const client = await ask(answer);
    await client.expect(/HTTP\/1\.1 502 Bad Gateway\r\n/);
    expect(client.text().replace(/^(HTTP\/1\.1 1\d\d .*\r\n\r\n)*/, "")).toMatch(/^HTTP\/1\.1 502 /);
    await notPooled();
  });
});

describe("a WebSocket's 101", () => {
  const UPGRADE = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  it.each([
    ["to another protocol", "Connection: Upgrade\r\nUpgrade: h2c\r\n"],
    ["to two protocols", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"],
    ["without Upgrade", "Connection: Upgrade\r\n"],
    ["without Connection", "Upgrade: websocket\r\n"],
  ])("%s becomes 502", async (_, lines) => {
    const client = await ask(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`, UPGRADE);
    await client.expect(/^HTTP\/1\.1 502 /);
    await notPooled();
  });
});

// Its head has left already: the client must see that what it got is not whole.
describe("a body cuts the client off with", () => {
  const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
  it.each([
    ["a chunk size 0x2", `${CHUNKED}0x2\r\nok\r\n0\r\n\r\n`],
    ["a chunk size above 64 bits", `${CHUNKED}10000000000000002\r\nok\r\n0\r\n\r\n`],
    ["a chunk size that ends in LF", `${CHUNKED}2\nok\r\n0\r\n\r\n`],
    ["a chunk longer than its size", `${CHUNKED}2\r\nokay\r\n0\r\n\r\n`],
    ["a length as trailer", `${CHUNKED}2\r\nok\r\n0\r\nContent-Length: 50\r\n\r\n`],
    ["a cookie as trailer", `${CHUNKED}2\r\nok\r\n0\r\nSet-Cookie: a\r\n\r\n`],
  ])("%s", async (_, answer) => {
    const client = await ask(answer);
    const text = await client.expectEnd();
    expect(text).toMatch(/^(HTTP\/1\.1 200 OK\r\n[\s\S]*)?$/);
    expect(text).not.toMatch(/0\r\n(.*\r\n)?\r\n$/);
    await notPooled();
  });
});

it("bytes behind the answer are never the next one's", async () => {
  const client = await ask(`${OK}Content-Length: 2\r\n\r\nok${OK}Content-Length: 4\r\n\r\nevil`);
  await client.expect(/ok$/);
  await notPooled();
  client.send("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n");
  await client.expect(/ok[\s\S]*ok$/);
  expect(client.text()).not.toContain("evil");
});

it("sixteen interim answers are none of that", async () => {
  const interims = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(16);
  const client = await ask(`${interims}${OK}Content-Length: 2\r\n\r\nok`);
  expect(await client.expect(/ok$/)).toBe(`${interims}${OK}Content-Length: 2\r\n\r\nok`);
});

it("an empty reason phrase, with or without its blank, is none of that", async () => {
  const client = await ask("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok");
  expect(await client.expect(/ok$/)).toBe("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok");
});

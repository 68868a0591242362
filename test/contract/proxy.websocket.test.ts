// The same WebSocket bytes to a real server, directly and through the proxy: both directions must be equal to the byte.
import { createServer, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { type Bench, backendSpec, closeServer, listenOn, startBench } from "../../packages/proxy/src/testing/bench.ts";
import {
  BINARY,
  CLOSE,
  CONTINUATION,
  closeFrame,
  frame,
  hasClose,
  PING,
  PONG,
  TEXT,
} from "../support/websocket-frames.ts";

let server: Server;
let serverPort: number;
let bench: Bench;
/** Everything each connection brought to the server, in order of their coming. */
const arrived: Buffer[][] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  server = createServer((_, response) => response.writeHead(426, { "Content-Length": 0 }).end());
  const echo = new WebSocketServer({ server, maxPayload: 32 * 1024 * 1024 });
  echo.on("connection", (socket) => {
    // What is illegal is what it is here for: the server closes, and says why.
    socket.on("error", () => undefined);
    socket.on("message", (data, binary) => {
      if (data.toString() === "fragments") for (const part of ["a", "b", "c"]) socket.send(part, { fin: part === "c" });
      else socket.send(data, { binary });
    });
  });
  server.on("connection", (socket) => {
    const bytes: Buffer[] = [];
    arrived.push(bytes);
    sockets.push(socket);
    // A copy: the server unmasks where it reads.
    socket.on("data", (chunk) => bytes.push(Buffer.from(chunk)));
  });
  serverPort = await listenOn(server, 0);
  bench = await startBench({ backends: [backendSpec("ws", serverPort)] });
  bench.onClose(() => closeServer(server, sockets));
});
afterAll(() => bench.close());

const HANDSHAKE =
  "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

interface Conversation {
  /** Frames as the server got them, and as the client did. */
  readonly atServer: Buffer;
  readonly atClient: Buffer;
  readonly accept: string | undefined;
}

function behindHead(parts: readonly Buffer[]): Buffer {
  const all = Buffer.concat(parts);
  const head = all.indexOf("\r\n\r\n");
  return head < 0 ? Buffer.alloc(0) : all.subarray(head + 4);
}

/** Speaks `pieces` to the server at `port` and hangs up once it closed. */
async function converse(port: number, pieces: readonly Buffer[], early: boolean): Promise<Conversation> {
  const connection = arrived.length;
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const got: Buffer[] = [];
  let ended = false;
  client.on("data", (chunk: Buffer) => got.push(chunk));
  client.on("end", () => {
    ended = true;
  });
  client.on("error", () => undefined);
  try {
    if (early) client.write(Buffer.concat([Buffer.from(HANDSHAKE), ...pieces]));
    else {
      client.write(HANDSHAKE);
      await until(() => Buffer.concat(got).includes("\r\n\r\n"), { what: "the 101", everyMs: 2 });
      for (const piece of pieces) {
        client.write(piece);
        if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await until(() => hasClose(behindHead(got)), { what: "the server's close frame", everyMs: 2 });
    client.end();
    await until(() => ended, { what: "the end", everyMs: 2 });
  } finally {
    client.destroy();
  }
  const accept = /Sec-WebSocket-Accept: (.*)\r\n/.exec(Buffer.concat(got).toString("latin1"))?.[1];
  return { atServer: behindHead(arrived[connection] ?? []), atClient: behindHead(got), accept };
}

async function transparent(pieces: readonly Buffer[], early = false): Promise<void> {
  const direct = await converse(serverPort, pieces, early);
  const proxied = await converse(bench.port(), pieces, early);
  // What comes with the handshake Node shows twice: as it is read, and as it is handed to the server.
  if (!early) expect(proxied.atServer.equals(direct.atServer), "what the server got").toBe(true);
  expect(proxied.atClient.equals(direct.atClient), "what the client got").toBe(true);
  expect(proxied.accept).toBe(direct.accept);
  expect(proxied.atServer.equals(Buffer.concat(pieces)), "what was sent").toBe(true);
}

const BYE = closeFrame(1000, "bye");

describe("legal frames", () => {
  it.each([0, 1, 125, 126, 127, 128, 65_535, 65_536])("of %i bytes, text and binary", (size) =>
    transparent([frame(TEXT, "x".repeat(size)), frame(BINARY, Buffer.alloc(size, 0xfe)), BYE]),
  );

  it("of 1 MiB and 16 MiB", () =>
    transparent([frame(BINARY, Buffer.alloc(2 ** 20, 1)), frame(BINARY, Buffer.alloc(2 ** 24, 2)), BYE]));

  it("byte by byte", () => transparent([...Buffer.concat([frame(TEXT, "slow"), BYE])].map((byte) => Buffer.of(byte))));

  it("that come with the handshake", () => transparent([frame(TEXT, "early"), BYE], true));

  it.each([0, 1, 125])("ping and pong with %i bytes", (size) =>
    transparent([frame(PING, Buffer.alloc(size, 7)), frame(PONG, Buffer.alloc(size, 8)), BYE]),
  );

  it("fragments with a ping between them", () =>
    transparent([
      frame(TEXT, "one ", { fin: false }),
      frame(CONTINUATION, "", { fin: false }),
      frame(PING, "still there?"),
      frame(CONTINUATION, "two"),
      BYE,
    ]));

  it("fragments from the server", () => transparent([frame(TEXT, "fragments"), BYE]));

  it("a close without a code", () => transparent([frame(CLOSE, "")]));

  it.each([1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 3000, 3999, 4000, 4999])("close %i", (code) =>
    transparent([closeFrame(code, "why")]),
  );
});

// The proxy must not mend them: the server says what is wrong.
describe("illegal frames", () => {
  it.each([1, 2, 3, 4, 5, 6, 7])("with reserved bits %i", (rsv) => transparent([frame(TEXT, "hi", { rsv })]));

  it.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])("of opcode %i", (opcode) => transparent([frame(opcode, "hi")]));

  it.each([0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535])("close %i", (code) => transparent([closeFrame(code)]));

  it.each([
    ["a close of one byte", [frame(CLOSE, "x")]],
    ["a ping of 126 bytes", [frame(PING, Buffer.alloc(126))]],
    ["a fragmented ping", [frame(PING, "", { fin: false })]],
    ["a continuation of nothing", [frame(CONTINUATION, "hi")]],
    ["a message within a message", [frame(TEXT, "a", { fin: false }), frame(TEXT, "b")]],
    ["a frame without mask", [frame(TEXT, "hi", { masked: false })]],
    ["text that is no UTF-8", [frame(TEXT, Buffer.from([0xce, 0xba, 0xed, 0xa0, 0x80]))]],
    ["a close reason that is no UTF-8", [frame(CLOSE, Buffer.from([3, 232, 0xff]))]],
  ])("%s", (_, pieces) => transparent(pieces));
});

describe("around the tunnel", () => {
  it("a client library speaks through it, compressed and in parallel", async () => {
    const url = `ws://127.0.0.1:${bench.port()}/`;
    const talk = async (n: number): Promise<void> => {
      const socket = new WebSocket(url, { perMessageDeflate: n % 2 === 0 });
      const texts: string[] = [];
      socket.on("message", (data) => texts.push(data.toString()));
      await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
      const sent = Array.from({ length: 20 }, (_, i) => `${n}-${i} `.repeat(i * 100 + 1));
      for (const text of sent) socket.send(text);
      await until(() => texts.length === sent.length, { what: "the echo" });
      expect(texts).toEqual(sent);
      socket.close(1000);
      await until(() => socket.readyState === WebSocket.CLOSED, { what: "the close" });
    };
    await Promise.all(Array.from({ length: 20 }, (_, n) => talk(n)));
  });

  it("a refusal passes, and the connection serves on", async () => {
    const client = connect({ port: bench.port(), host: "127.0.0.1" });
    let text = "";
    client.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    client.write(HANDSHAKE.replace("Version: 13", "Version: 777").replace("GET", "POST"));
    await until(() => /^HTTP\/1\.1 4\d\d /.test(text), { what: "the refusal" });
    client.destroy();
    const plain = await fetch(`http://127.0.0.1:${bench.port()}/`);
    expect(plain.status).toBe(426);
  });

  it("leaves nothing behind", async () => {
    await until(() => bench.proxy.status()[0]?.backends[0]?.counters.active === 0, { what: "no running exchange" });
  });
});

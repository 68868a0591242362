// Long answers and bodies through ends that read slowly, and answers that never end.
import { createHash, type Hash } from "node:crypto";
import { createServer, request, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { seededRandom, until } from "@smartstack/core/testing";
import { afterEach, expect, it } from "vitest";
import {
  type Bench,
  backendSpec,
  closeServer,
  listenOn,
  rawClient,
  startBench,
} from "../../packages/proxy/src/testing/bench.ts";
import { usedBytes } from "../support/memory.mjs";

const MIB = 1024 * 1024;
const SIZE = Number(process.env.STREAM_MIB ?? 64) * MIB;
/** What one stream may hold of this process, which is source, proxy and sink at once; unbounded it would be `SIZE`. */
const HELD_BYTES_MAX = 8 * MIB;

let bench: Bench;
afterEach(() => bench.close());

async function withServer(server: Server): Promise<void> {
  const sockets: Socket[] = [];
  server.on("connection", (socket) => sockets.push(socket));
  const port = await listenOn(server, 0);
  bench = await startBench({ backends: [backendSpec("b", port)] });
  bench.onClose(() => closeServer(server, sockets));
}

/** `SIZE` bytes that differ from each other everywhere, made as they are asked for. */
function source(hash: Hash): Readable {
  const random = seededRandom(1);
  const block = Buffer.from(Array.from({ length: 64 * 1024 }, () => Math.floor(random() * 256)));
  let left = SIZE;
  return new Readable({
    read() {
      if (left === 0) return void this.push(null);
      const bytes = Buffer.from(block.subarray(0, Math.min(left, block.length)));
      bytes.writeUInt32BE(left % 2 ** 32);
      left -= bytes.length;
      hash.update(bytes);
      this.push(bytes);
    },
  });
}

/** Takes bytes with a rest after every 512 KiB, and now and then notes the memory that is held. */
function slowSink(hash: Hash): Writable & { readonly peakBytes: number } {
  const before = usedBytes();
  let sinceRest = 0;
  let sinceLook = 0;
  const sink = new Writable({
    highWaterMark: 64 * 1024,
    write(bytes: Buffer, _, done) {
      hash.update(bytes);
      sinceRest += bytes.length;
      sinceLook += bytes.length;
      if (sinceLook > 4 * MIB) {
        sinceLook = 0;
        sink.peakBytes = Math.max(sink.peakBytes, usedBytes() - before);
      }
      if (sinceRest < MIB / 2) return done();
      sinceRest = 0;
      setTimeout(done, 2);
    },
  }) as Writable & { peakBytes: number };
  sink.peakBytes = 0;
  return sink;
}

it(
  `${SIZE / MIB} MiB reach a client that reads slowly, and the proxy holds little of them`,
  async () => {
    const sent = createHash("sha256");
    const got = createHash("sha256");
    await withServer(
      createServer((_, response) => {
        response.writeHead(200, { "content-length": SIZE });
        source(sent).pipe(response);
      }),
    );
    const sink = slowSink(got);
    await new Promise<void>((resolve, reject) => {
      const asked = request({ port: bench.port(), agent: false }, (response) =>
        pipeline(response, sink).then(resolve, reject),
      );
      asked.on("error", reject).end();
    });
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    expect(sink.peakBytes).toBeLessThan(HELD_BYTES_MAX);
  },
  60_000 + SIZE / 10_000,
);

it.each(["content-length", "chunked"])(
  `${SIZE / MIB} MiB with %s reach a backend that reads slowly, and the proxy holds little of them`,
  async (framing) => {
    const sent = createHash("sha256");
    const got = createHash("sha256");
    const sink = slowSink(got);
    await withServer(
      createServer((asked, response) => {
        void pipeline(asked, sink).then(() => response.end("thanks"));
      }),
    );
    await new Promise<void>((resolve, reject) => {
      const headers = framing === "chunked" ? {} : { "content-length": SIZE };
      const asked = request({ port: bench.port(), agent: false, method: "POST", headers }, (response) => {
        response.resume().on("end", resolve);
      });
      pipeline(source(sent), asked).catch(reject);
    });
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    expect(sink.peakBytes).toBeLessThan(HELD_BYTES_MAX);
  },
  60_000 + SIZE / 10_000,
);

it("events reach the client one by one, and its leaving reaches the backend", async () => {
  const closed: number[] = [];
  const streams: ((text: string) => void)[] = [];
  await withServer(
    createServer((_, response) => {
      const stream = streams.push((text) => response.write(`data: ${text}\n\n`));
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" }).flushHeaders();
      response.on("close", () => closed.push(stream - 1));
    }),
  );
  const clients = ["HTTP/1.1\r\nHost: a", "HTTP/1.0"].map((version) => {
    const client = rawClient(bench.port());
    client.send(`GET /events ${version}\r\nAccept: text/event-stream\r\n\r\n`);
    bench.onClose(() => void client.socket.destroy());
    return client;
  });
  await until(() => streams.length === 2, { what: "both streams" });
  for (let n = 0; n < 20; n++) {
    for (const stream of streams) stream(`event ${n}`);
    // Each is there before the next is made.
    for (const client of clients) await client.expect(`data: event ${n}\n\n`);
  }
  clients[0]?.socket.resetAndDestroy();
  await until(() => closed.length === 1, { what: "the end of the first stream" });
  clients[1]?.socket.destroy();
  // Only what it is sent can tell that it is gone.
  await until(
    () => {
      for (const [n, stream] of streams.entries()) if (!closed.includes(n)) stream("anybody there?");
      return closed.length === 2;
    },
    { what: "the end of the second stream", everyMs: 50 },
  );
});

it("a client that stops reading stops nobody else", async () => {
  const body = Buffer.alloc(16 * MIB);
  await withServer(createServer((asked, response) => response.end(asked.url === "/big" ? body : "small")));
  const stuck = Array.from({ length: 20 }, () => {
    const socket = connect({ port: bench.port(), host: "127.0.0.1" });
    socket.pause();
    socket.write("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    bench.onClose(() => void socket.destroy());
    return socket;
  });
  expect(stuck.length).toBe(20);
  for (let n = 0; n < 50; n++) {
    const answer = await fetch(`http://127.0.0.1:${bench.port()}/`, { signal: AbortSignal.timeout(5_000) });
    expect(await answer.text()).toBe("small");
  }
});

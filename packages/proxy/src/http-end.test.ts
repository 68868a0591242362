import type { Socket } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { type Bench, backendSpec, rawBackend, rawClient, startBench } from "./testing/bench.ts";

let bench: Bench | undefined;
afterEach(async () => {
  await bench?.close();
  bench = undefined;
});

async function withBackend(onData: (socket: Socket, all: string) => void) {
  const backend = await rawBackend(onData);
  bench = await startBench({ backends: [backendSpec("b1", backend.port)] });
  bench.onClose(backend.close);
  const client = rawClient(bench.port());
  bench.onClose(() => {
    client.socket.destroy();
  });
  return { client, bench };
}

const PLENTY = 24 * 1024 * 1024;

function answerWith(bytes: number) {
  return (socket: Socket): void => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
    socket.write(Buffer.alloc(bytes, "x"));
  };
}

/** How long a body must be so that, while the client does not read, its end stays with the proxy and not with the kernel. */
async function measureBacklog(): Promise<number> {
  const { client, bench } = await withBackend(answerWith(PLENTY));
  client.socket.pause();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  let last = 0;
  const read = (): number => bench.proxy.status()[0]?.backends[0]?.counters.bytesOut ?? 0;
  await until(
    () => {
      const before = last;
      last = read();
      return last > 0 && last === before;
    },
    { what: "a full client", everyMs: 200 },
  );
  await bench.close();
  return last - 8 * 1024;
}

describe("the end of an answer", () => {
  it("breaks visibly for an HTTP/1.0 client whose chunked answer broke", async () => {
    const { client } = await withBackend((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      setTimeout(() => socket.destroy(), 50);
    });
    client.send("GET / HTTP/1.0\r\n\r\n");
    await client.expect(/hello$/);
    await until(() => client.ended() || client.error() !== undefined, { what: "the end" });
    expect(client.error()?.code).toBe("ECONNRESET");
  });

  it("reaches a client that reads late, on a connection that is to close", async () => {
    const bytes = await measureBacklog();
    const { client } = await withBackend(answerWith(bytes));
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    client.socket.resume();
    const answer = await client.expectEnd();
    expect(answer.length).toBeGreaterThan(bytes);
  }, 15_000);

  it("reaches a client that reads late, though the proxy closes meanwhile", async () => {
    const { client, bench, bytes } = await heldAnswer(await measureBacklog());
    const closed = bench.proxy.close({ graceMs: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.socket.resume();
    const answer = await client.expectEnd();
    expect(answer.length).toBeGreaterThan(bytes);
    await closed;
  }, 30_000);
});

/**
 * An answer whose backend is done while its client has not read: its end lies with the proxy. What the kernel takes
 * differs from one connection to the next, so the body shrinks until it fits.
 */
async function heldAnswer(backlog: number) {
  for (let bytes = backlog; ; bytes -= 64 * 1024) {
    const { client, bench } = await withBackend(answerWith(bytes));
    client.socket.pause();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const done = (): boolean => {
      const counters = bench.proxy.status()[0]?.backends[0]?.counters;
      return counters?.active === 0 && counters.bytesOut > bytes;
    };
    const fits = await until(done, { what: "the backend to be done", timeoutMs: 1_500 }).catch(() => false);
    if (fits) return { client, bench, bytes };
    if (bytes < backlog - 512 * 1024) throw new Error(`the backend is not done after ${bytes} bytes`);
    await bench.close();
  }
}

import { createHash } from "node:crypto";
import { Agent, createServer, type IncomingMessage, request } from "node:http";
import type { Socket } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { type Bench, backendSpec, closeServer, listenOn, rawBackend, rawClient, startBench } from "./testing/bench.ts";

let bench: Bench | undefined;
afterEach(async () => {
  await bench?.close();
  bench = undefined;
});

const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** An HTTP service over one backend that answers whatever it gets with `answer`. */
async function withBackend(onData: (socket: Socket, all: string, connection: number) => void, change = {}) {
  const backend = await rawBackend(onData);
  bench = await startBench({ backends: [backendSpec("b1", backend.port)], ...change });
  bench.onClose(backend.close);
  return { backend, client: client(bench) };
}

function client(of: Bench) {
  const made = rawClient(of.port());
  of.onClose(() => {
    made.socket.destroy();
  });
  return made;
}

/** Answers each request without a body on a connection once. */
function answering(answer: string) {
  const answered = new Map<Socket, number>();
  return (socket: Socket, all: string): void => {
    const requests = all.split("\r\n\r\n").length - 1;
    for (let done = answered.get(socket) ?? 0; done < requests; done++) socket.write(answer);
    answered.set(socket, requests);
  };
}

async function nodeBackend(handler: (req: IncomingMessage, body: Buffer) => string | Buffer) {
  const sockets: Socket[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    res.end(handler(req, Buffer.concat(chunks)));
  });
  server.on("connection", (socket) => sockets.push(socket));
  const port = await listenOn(server, 0);
  return { port, sockets, server, close: () => closeServer(server, sockets) };
}

describe("a plain request", () => {
  it("is forwarded as it came, with X-Forwarded-For and -Proto added", async () => {
    const { backend, client } = await withBackend(answering(OK));
    client.send("GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX-Custom:  kept \r\n\r\n");
    await client.expect(/\r\n\r\nok$/);
    expect(backend.received[0]).toBe(
      "GET /a?b=c HTTP/1.1\r\nHost: a.test\r\nX-Custom:  kept \r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n",
    );
    expect(client.text()).toBe(OK);
  });

  it("keeps both sides' connections for the next one", async () => {
    const { backend, client } = await withBackend(answering(OK));
    for (let n = 1; n <= 5; n++) {
      client.send(GET);
      await client.expect(new RegExp(`^(HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok){${n}}$`));
    }
    expect(backend.received.length).toBe(1);
    expect(bench?.proxy.status()[0]).toMatchObject({
      counters: { connections: 1, requests: 5, responses: [0, 0, 5, 0, 0, 0], retries: 0 },
      backends: [{ counters: { active: 0, connections: 1, requests: 5 } }],
    });
  });

  it("is answered in order when pipelined, whatever the cut", async () => {
    let n = 0;
    const { backend, client } = await withBackend((socket, all) => {
      if (all.endsWith("\r\n\r\n")) socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n0${++n}`);
    });
    const bytes = GET.repeat(5);
    for (let at = 0; at < bytes.length; at += 7) client.send(bytes.slice(at, at + 7));
    await client.expect(/05$/);
    expect(client.text().match(/\n0\d/g)).toEqual(["\n01", "\n02", "\n03", "\n04", "\n05"]);
    expect(backend.received.length).toBe(1);
  });

  it("survives thousands of pipelined ones that the proxy answers itself", async () => {
    bench = await startBench({});
    const raw = client(bench);
    raw.send(GET.repeat(2_000));
    await until(() => raw.text().split("HTTP/1.1 503").length === 2_001, { what: "2000 answers" });
  });

  it.each([
    ["Connection: close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"],
    ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  ])("closes after the answer for %s", async (_, bytes) => {
    const { client } = await withBackend(answering(OK));
    client.send(bytes);
    const text = await client.expectEnd();
    expect(text).toMatch(/Connection: close\r\n/);
    expect(text).toMatch(/\r\n\r\nok$/);
  });

  it("keeps an HTTP/1.0 client that asks for it, and gives the backend a Host", async () => {
    const { backend, client } = await withBackend(answering(OK));
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await client.expect(/Connection: keep-alive\r\n\r\nok$/);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await client.expect(/ok.*ok$/s);
    expect(backend.received[0]).toContain(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${backend.port}\r\n`);
  });

  it("takes an HTTP/1.0 client's Host from its absolute target", async () => {
    const { backend, client } = await withBackend(answering(OK));
    client.send("GET http://a.test:81/x HTTP/1.0\r\n\r\n");
    await client.expectEnd();
    expect(backend.received[0]).toContain("GET /x HTTP/1.1\r\nHost: a.test:81\r\n");
  });

  it("sends the Host the service asks for", async () => {
    const { backend, client } = await withBackend(answering(OK), { host: { name: "inner.test" } });
    client.send(GET);
    await client.expect("ok");
    expect(backend.received[0]).toContain("Host: inner.test\r\n");
    await bench?.apply({ host: "backend" });
    client.send(GET);
    await client.expect(/ok.*ok$/s);
    expect(backend.received[0]).toContain(`Host: 127.0.0.1:${backend.port}\r\n`);
    expect(backend.received[0]).not.toContain("a.test");
  });
});

describe("bodies", () => {
  it("carries 64 KiB POSTs of real clients both ways, keeping connections", async () => {
    const backend = await nodeBackend((_, body) => createHash("sha256").update(body).digest("hex"));
    bench = await startBench({ backends: [backendSpec("b1", backend.port)] });
    bench.onClose(backend.close);
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    bench.onClose(() => agent.destroy());
    const port = bench.port();
    const post = (size: number, chunked: boolean): Promise<boolean> =>
      new Promise((resolve, reject) => {
        const body = Buffer.alloc(size, String(size));
        const headers = chunked ? {} : { "content-length": size };
        const req = request({ port, method: "POST", agent, headers, path: "/p" }, (res) => {
          let text = "";
          res.setEncoding("utf8").on("data", (chunk) => {
            text += chunk;
          });
          res.on("end", () => resolve(text === createHash("sha256").update(body).digest("hex")));
        });
        req.on("error", reject);
        req.end(body);
      });
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, n) => post(n % 2 ? 65_536 : 1_000_000, n % 4 < 2)),
    );
    expect(results.every(Boolean)).toBe(true);
    expect(bench.proxy.status()[0]?.counters.connections).toBeLessThanOrEqual(4);
    expect(backend.sockets.length).toBeLessThanOrEqual(4);
  });

  it("passes a chunked body on with its framing, without its extensions", async () => {
    const { backend, client } = await withBackend((socket, all) => {
      if (all.endsWith("0\r\n\r\n"))
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nab");
    client.send("c\r\n0\r\n\r\n");
    await client.expect(/2\r\nok\r\n0\r\n\r\n$/);
    expect(backend.received[0]).toMatch(/\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
  });

  it("decodes a chunked answer for an HTTP/1.0 client", async () => {
    const { client } = await withBackend(
      answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"),
    );
    client.send("GET / HTTP/1.0\r\n\r\n");
    expect(await client.expectEnd()).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde");
  });

  it("ends with the connection when the backend says no length", async () => {
    const { client } = await withBackend((socket) => {
      socket.end("HTTP/1.0 200 OK\r\n\r\nall of it");
    });
    client.send(GET);
    expect(await client.expectEnd()).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it");
  });

  it.each([
    ["HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    ["204", GET, "HTTP/1.1 204 No Content\r\n\r\n"],
    ["304", GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"],
  ])("knows that an answer to or with %s has none", async (_, bytes, answer) => {
    const { backend, client } = await withBackend(answering(answer));
    client.send(bytes);
    await client.expect(answer);
    client.send(bytes);
    await until(() => client.text() === answer + answer, { what: "the second answer" });
    expect(backend.received.length).toBe(1);
  });

  it("never reuses an upstream that sent more than its answer", async () => {
    const { backend, client } = await withBackend(answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`));
    client.send(GET);
    await client.expect(/ok$/);
    client.send(GET);
    await client.expect(/ok.*ok$/s);
    expect(client.text()).toBe(OK + OK);
    expect(backend.received.length).toBe(2);
  });

  it("forwards an early answer while the body still comes, then closes", async () => {
    const { client } = await withBackend((socket, all) => {
      if (all.length < 300) socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegin");
    expect(await client.expectEnd()).toMatch(/^HTTP\/1.1 413 .*no$/s);
  });

  it("holds no more than its buffers for a client that does not read", async () => {
    const block = Buffer.alloc(256 * 1024);
    let written = 0;
    const { backend, client } = await withBackend((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${400 * block.length}\r\n\r\n`);
      const more = (): void => {
        while (written < 400 && socket.write(block)) written++;
      };
      socket.on("drain", more);
      more();
    });
    client.socket.pause();
    client.send(GET);
    await until(() => written > 0 && backend.sockets[0]?.writableNeedDrain === true, { what: "back-pressure" });
    const before = written;
    await new Promise((resolve) => setTimeout(resolve, 300));
    // Kernel buffers on four socket ends, and ours; 100 MiB were offered.
    expect(written - before).toBeLessThan(40);
    expect(written).toBeLessThan(100);
    client.socket.resume();
    await until(() => client.text().length > 400 * block.length, { what: "the rest", timeoutMs: 9_000 });
  });

  it("holds no more than its buffers for a backend that does not read", async () => {
    const { backend, client } = await withBackend((socket) => {
      socket.pause();
    });
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${100 * 1024 * 1024}\r\n\r\n`);
    const block = Buffer.alloc(256 * 1024);
    let sent = 0;
    const more = (): void => {
      while (sent < 400 && client.socket.write(block)) sent++;
    };
    client.socket.on("drain", more);
    more();
    await until(() => backend.sockets[0]?.isPaused() === true && client.socket.writableNeedDrain, { what: "a stall" });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBeLessThan(100);
  });
});

describe("expectations and upgrades", () => {
  it("passes one 100 and then the answer", async () => {
    const { client } = await withBackend((socket, all) => {
      if (all.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      else if (all.endsWith("body!")) socket.write(OK);
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    await client.expect("100 Continue");
    client.send("body!");
    await client.expect(/ok$/);
    expect(client.text()).toBe(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
  });

  it("tunnels after 101 only, with the bytes that came early", async () => {
    const { backend, client } = await withBackend((socket, all) => {
      if (all.endsWith("\r\n\r\nearly")) {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
      } else if (all.endsWith("ping")) socket.write("pong");
    });
    client.send("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    await until(() => backend.received[0]?.includes("Upgrade: websocket\r\n"), { what: "the upgrade" });
    // Nothing of what follows the head may reach the backend before it agrees.
    expect(backend.received[0]).not.toContain("early");
    backend.sockets[0]?.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    );
    await client.expect(/101 Switching.*Upgrade: websocket\r\n.*\r\n\r\nhello$/s);
    await until(() => backend.received[0]?.endsWith("\r\n\r\nearly"), { what: "the early bytes" });
    client.send("ping");
    await client.expect(/pong/);
    client.socket.end();
    await until(() => backend.sockets[0]?.readableEnded, { what: "the half-close" });
    backend.sockets[0]?.end("bye");
    await client.expect(/bye$/);
    await until(() => bench?.proxy.status()[0]?.backends[0]?.counters.active === 0, { what: "the end" });
  });

  it("passes a refused upgrade on and serves the next request", async () => {
    const { client } = await withBackend(answering("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"));
    client.send(`GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n${GET}`);
    await client.expect(/426.*426/s);
  });

  it("does not tunnel when nobody asked", async () => {
    const { client } = await withBackend(answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"));
    client.send(GET);
    await client.expect(/^HTTP\/1.1 502 /);
  });
});

describe("hostile and absent ends", () => {
  it.each([
    ["400", "GET / HTTP/1.1\r\n\r\n"],
    ["405", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"],
    ["414", `GET /${"x".repeat(20_000)}`],
    ["417", "GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n"],
    ["431", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(20_000)}`],
    ["501", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["505", "GET / HTTP/2.0\r\n"],
  ])("refuses with %s and closes, reaching no backend", async (status, bytes) => {
    const { backend, client } = await withBackend(answering(OK));
    client.send(bytes);
    expect(await client.expectEnd()).toMatch(new RegExp(`^HTTP/1.1 ${status} .*Connection: close`, "s"));
    expect(backend.received.length).toBe(0);
  });

  it("refuses a body with broken chunks and drops the backend's connection", async () => {
    const { backend, client } = await withBackend(() => undefined);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    await until(() => backend.received[0]?.endsWith("ab\r\n"), { what: "the first chunk" });
    client.send("0x5\r\n");
    expect(await client.expectEnd()).toMatch(/^HTTP\/1.1 400 /);
    await until(() => backend.sockets[0]?.readableEnded || backend.sockets[0]?.destroyed, { what: "the drop" });
    expect(backend.received[0]).not.toContain("0\r\n\r\n");
  });

  it("closes on a TLS hello without a word", async () => {
    const { client } = await withBackend(answering(OK));
    client.send(Buffer.from([0x16, 3, 1, 2, 0, 1, 0]));
    expect(await client.expectEnd()).toBe("");
  });

  it.each([
    ["garbage", "SSH-2.0-OpenSSH\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"],
    ["length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["an endless head", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(20_000)}`],
    ["too many interim answers", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20)],
  ])("turns %s from a backend into 502", async (_, answer) => {
    const { client } = await withBackend(answering(answer));
    client.send(GET);
    await client.expect(/HTTP\/1.1 502 Bad Gateway\r\n.*X-Smartstack-Reason: backend b1: /s);
  });

  it("cuts the client off when the answer breaks off", async () => {
    const { client } = await withBackend((socket) => {
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    });
    client.send(GET);
    await client.expectEnd();
    expect(client.text()).toMatch(/part$/);
  });

  it("resets the client when an answer without length is reset", async () => {
    const { backend, client } = await withBackend((socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\npart");
    });
    client.send(GET);
    await client.expect(/part$/);
    backend.sockets[0]?.resetAndDestroy();
    await until(() => client.error()?.code === "ECONNRESET", { what: "a reset" });
  });

  it.each(["destroy", "resetAndDestroy"] as const)("drops the backend when its client is gone (%s)", async (how) => {
    const { backend, client } = await withBackend((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
    });
    client.send(GET);
    await client.expect(/part$/);
    client.socket[how]();
    // Without a reset it may still be reading: only what it is sent tells.
    if (how === "destroy") backend.sockets[0]?.write("more");
    const gone = (): boolean => backend.sockets[0]?.readableEnded === true || backend.sockets[0]?.destroyed === true;
    await until(gone, { what: "the upstream's end", timeoutMs: 3_000 });
    await until(() => bench?.proxy.status()[0]?.counters.activeClients === 0, { what: "no clients" });
  });

  it("answers a client that closed its sending side", async () => {
    const { client } = await withBackend(answering(OK));
    client.socket.end(GET + GET);
    expect(await client.expectEnd()).toBe(OK + OK);
  });
});

// What happens around one request and its answer: framing on both sides, who closes what, who may be used again.
import type { Socket } from "node:net";
import { fakeClock, until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import type { ProxyDeps } from "./proxy.ts";
import type { ServiceSpec } from "./snapshot.ts";
import { type Bench, backendSpec, type RawBackend, rawBackend, rawClient, startBench } from "./testing/bench.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let bench: Bench;
afterEach(() => bench.close());

async function withBackend(
  onData: (socket: Socket, all: string) => void,
  change: Partial<ServiceSpec> = {},
  deps: Partial<ProxyDeps> = {},
) {
  const backend = await rawBackend(onData);
  bench = await startBench({ backends: [backendSpec("b", backend.port)], ...change }, deps);
  bench.onClose(backend.close);
  return { backend, client: newClient() };
}

function newClient() {
  const client = rawClient(bench.port());
  bench.onClose(() => {
    client.socket.destroy();
  });
  return client;
}

function answering(answer: string) {
  return (socket: Socket, all: string): void => {
    if (all.endsWith("\r\n\r\n")) socket.write(answer);
  };
}

function upstreamEnded(backend: RawBackend, connection = 0): Promise<true> {
  const socket = backend.sockets[connection];
  return until(() => socket?.readableEnded === true || socket?.destroyed === true, { what: "the upstream's end" });
}

describe("an answer before the request's end", () => {
  const POST = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegin";

  it("says Connection: close, and neither connection is used again", async () => {
    const { backend, client } = await withBackend((socket, all) => {
      if (all.endsWith("begin")) socket.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    });
    client.send(POST);
    expect(await client.expectEnd()).toBe(
      "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    );
    await upstreamEnded(backend);
  });

  it("reaches a client that goes on sending all of it", async () => {
    const { client } = await withBackend((socket, all) => {
      if (all.endsWith("begin")) socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    });
    client.send(POST);
    await client.expect(/no$/);
    client.send("x".repeat(995));
    expect(await client.expectEnd()).toMatch(/^HTTP\/1\.1 413 [\s\S]*Connection: close\r\n\r\nno$/);
    expect(client.error()).toBeUndefined();
  });

  it("does not keep the rest of the body from the backend while it still answers", async () => {
    const { client } = await withBackend((socket, all) => {
      if (all.endsWith("begin")) socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
      else if (all.endsWith("x".repeat(995))) socket.write("0\r\n\r\n");
    });
    client.send(POST);
    await client.expect(/hi\r\n$/);
    client.send("x".repeat(995));
    expect(await client.expectEnd()).toMatch(/Connection: close\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/);
  });

  it("instead of a 100 leaves the client's next bytes unread", async () => {
    const { backend, client } = await withBackend(answering("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"));
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    await client.expect(/417 No[\s\S]*Connection: close/);
    client.send(GET);
    await client.expectEnd();
    expect(backend.received.join("")).not.toContain("GET /x");
  });
});

describe("a client that closed its sending side", () => {
  it("gets an answer that takes its time, then the end", async () => {
    const clock = fakeClock();
    const { backend, client } = await withBackend(() => undefined, {}, { clock });
    client.socket.end(GET);
    await until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "the request" });
    await until(() => client.socket.writableFinished, { what: "its end" });
    await clock.advance(30_000);
    expect(backend.sockets[0]?.readableEnded).toBe(false);
    backend.sockets[0]?.write(OK);
    expect(await client.expectEnd()).toBe(OK);
  });

  it("gets 400 when its request's body is not whole, and the backend's connection ends", async () => {
    const { backend, client } = await withBackend(() => undefined);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    await until(() => backend.received[0]?.endsWith("hel"), { what: "a part" });
    client.socket.end();
    expect(await client.expectEnd()).toMatch(/^HTTP\/1\.1 400 [\s\S]*Connection: close/);
    await upstreamEnded(backend);
  });

  it("gets 400 for one behind another that is not whole either", async () => {
    const { client } = await withBackend(answering(OK));
    client.socket.end(`${GET}POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel`);
    expect(await client.expectEnd()).toMatch(/\r\n\r\nokHTTP\/1\.1 400 [\s\S]*Connection: close/);
  });

  it("within a head is closed without a word", async () => {
    const { client } = await withBackend(answering(OK));
    client.socket.end("GET / HTTP/1.1\r\nHo");
    expect(await client.expectEnd()).toBe("");
  });
});

describe("data behind a message that was to be the last", () => {
  it("of the client is read by nobody", async () => {
    const { backend, client } = await withBackend(answering(OK));
    client.send(`GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`);
    expect(await client.expectEnd()).toMatch(/Connection: close\r\n\r\nok$/);
    expect(backend.received.join("")).not.toContain("GET /x");
  });

  it("of the backend is read by nobody", async () => {
    const { backend, client } = await withBackend(
      answering(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok${OK}`),
    );
    client.send(GET);
    await client.expect(/ok$/);
    await upstreamEnded(backend);
    client.send(GET);
    await client.expect(/ok[\s\S]*ok$/);
    expect(client.text()).toBe(OK + OK);
    expect(backend.received.length).toBe(2);
  });
});

it("requests that wait behind another stay with the client above 16 KiB", async () => {
  const { backend, client } = await withBackend(() => undefined);
  client.send(GET);
  await until(() => backend.received[0]?.endsWith("\r\n\r\n"), { what: "the first" });
  const many = GET.repeat(1_000);
  let sent = 0;
  let sentBefore = -1;
  const stalled = (): boolean => {
    for (let n = 0; n < 100 && !client.socket.writableNeedDrain; n++, sent++) client.socket.write(many);
    const same = sent === sentBefore;
    sentBefore = sent;
    return same;
  };
  await until(stalled, { what: "back-pressure", everyMs: 100 });
  // What lies in the kernel's buffers of both ends, and ours; without a bound there is no end.
  expect(sent * many.length).toBeLessThan(32 * 1024 * 1024);
  expect(backend.received[0]).toBe(backend.received[0]?.slice(0, backend.received[0].indexOf("\r\n\r\n") + 4));
});

it("keeps no more than 256 idle connections to a backend", async () => {
  const backend = await rawBackend(() => undefined);
  bench = await startBench({ backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  const clients = Array.from({ length: 280 }, newClient);
  for (const client of clients) client.send(GET);
  await until(() => backend.received.filter((text) => text.endsWith("\r\n\r\n")).length === 280, {
    what: "all of them",
  });
  for (const socket of backend.sockets) socket.write(OK);
  for (const client of clients) await client.expect(/ok$/);
  const open = (): number => backend.sockets.filter((socket) => !socket.readableEnded && !socket.destroyed).length;
  await until(() => open() === 256, { what: "256 idle ones" });
});

describe("headers between two ends", () => {
  it("that are hop-by-hop, or named by Connection, go from requests", async () => {
    const { backend, client } = await withBackend(answering(OK));
    const hops = "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Hop: 1\r\nX-HOP-2: 2\r\n";
    client.send(`GET /x HTTP/1.1\r\nHost: a\r\nConnection: x-hop , ,X-Hop-2\r\n${hops}X-End: to end\r\n\r\n`);
    await client.expect("ok");
    expect(backend.received[0]).toBe(
      "GET /x HTTP/1.1\r\nHost: a\r\nX-End: to end\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n",
    );
  });

  it("that are hop-by-hop, or named by Connection, go from answers", async () => {
    const hops = "Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nX-Hop: 1\r\n";
    const { client } = await withBackend(
      answering(
        `HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\n${hops}x-END: to  end\r\nContent-Length: 0\r\n\r\n`,
      ),
    );
    client.send(GET);
    await client.expect(/\r\n\r\n$/);
    expect(client.text()).toBe("HTTP/1.1 200 OK\r\nx-END: to  end\r\nContent-Length: 0\r\n\r\n");
  });

  it("that only say trailers are welcome, stay", async () => {
    const { backend, client } = await withBackend(answering(OK));
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n");
    await client.expect("ok");
    expect(backend.received[0]).toContain("TE: trailers\r\n");
  });
});

describe("interim answers and trailers", () => {
  const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";

  it("pass through", async () => {
    const answer = `${HINTS}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n`;
    const { client } = await withBackend(answering(answer));
    client.send(GET + GET);
    await client.expect(/X-Sum: 7\r\n\r\n[\s\S]*X-Sum: 7\r\n\r\n$/);
    expect(client.text()).toBe(answer + answer);
  });

  it("are left out for an HTTP/1.0 client, which knows neither", async () => {
    const answer = `${HINTS}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n`;
    const { client } = await withBackend(answering(answer));
    client.send("GET / HTTP/1.0\r\n\r\n");
    expect(await client.expectEnd()).toBe("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok");
  });

  it("of a request pass through, too", async () => {
    const { backend, client } = await withBackend((socket, all) => {
      if (all.endsWith("X-Sum: 7\r\n\r\n")) socket.write(OK);
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n0\r\n");
    client.send("X-Sum: 7\r\n\r\n");
    await client.expect(/ok$/);
    expect(backend.received[0]).toMatch(/\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n$/);
  });
});

describe("the proxy's own answers", () => {
  it("say why, and that it may be worth another try", async () => {
    bench = await startBench({});
    const client = newClient();
    client.send(GET);
    const answer = await client.expect(/\n$/);
    expect(answer).toContain("\r\nX-Smartstack-Reason: service web has no backends\r\n");
    expect(answer).toContain("\r\nRetry-After: 1\r\n");
  });

  it("keep it to themselves when told to", async () => {
    bench = await startBench({ tellReasons: false });
    const client = newClient();
    client.send(GET);
    const answer = await client.expect(/\n$/);
    expect(answer).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*\r\n\r\n503 Service Unavailable\n$/);
    expect(answer).not.toMatch(/reason|web/i);
  });

  it("say what a resource allows, with 405", async () => {
    bench = await startBench({});
    const client = newClient();
    client.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.expectEnd()).toMatch(/^HTTP\/1\.1 405 [\s\S]*\r\nAllow: GET, HEAD, /);
  });

  it("to HEAD have no body", async () => {
    bench = await startBench({});
    const client = newClient();
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(await client.expectEnd()).toMatch(/^HTTP\/1\.1 503 [\s\S]*\r\n\r\n$/);
  });
});

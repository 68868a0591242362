// What backends are told of a request's origin, from the client's connection on: who is believed, and what stays the same.
import { until } from "@smartstack/core/testing";
import { afterEach, expect, it } from "vitest";
import type { OriginSpec } from "./snapshot.ts";
import { type Bench, backendSpec, type RawClient, rawBackend, rawClient, startBench } from "./testing/bench.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CLAIMS = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.1.1.1\r\nX-Id: 7\r\n";
const ORIGIN: OriginSpec = {
  xForwarded: { for: true, proto: true, host: true },
  forwarded: true,
  via: "edge",
  requestId: "X-Id",
  trusted: ["192.0.2.0/24"],
};

let bench: Bench;
afterEach(() => bench.close());

function client(): RawClient {
  const made = rawClient(bench.port());
  bench.onClose(() => {
    made.socket.destroy();
  });
  return made;
}

it("a client is believed by the address its PROXY header says, not by that of the proxy before us", async () => {
  const backend = await rawBackend((socket, all) => {
    if (all.endsWith("\r\n\r\n")) socket.write(OK);
  });
  bench = await startBench({ acceptProxy: true, origin: ORIGIN, backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
  const seen: string[] = [];
  for (const address of ["192.0.2.9", "198.51.100.9"]) {
    const one = client();
    one.send(`PROXY TCP4 ${address} 203.0.113.1 4000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n${CLAIMS}\r\n`);
    await one.expect(/ok$/);
    const request = backend.received.join("").split("GET / HTTP/1.1\r\n").at(-1) ?? "";
    seen.push(request);
  }
  const [believed = "", other = ""] = seen;
  expect(believed).toContain("X-Forwarded-For: 1.1.1.1, 192.0.2.9\r\n");
  expect(believed).toContain("X-Forwarded-Proto: https\r\n");
  expect(believed).toContain("Forwarded: for=1.1.1.1\r\n");
  expect(believed).toContain("X-Id: 7\r\n");
  expect(other).toContain("X-Forwarded-For: 198.51.100.9\r\n");
  expect(other).toContain("X-Forwarded-Proto: http\r\n");
  expect(other).not.toMatch(/1\.1\.1\.1|X-Id: 7|https/);
  for (const request of seen) expect(request).toContain("Via: 1.1 edge\r\n");
});

it("a request keeps its id on another attempt, and each request has its own", async () => {
  const backend = await rawBackend((socket, all, connection) => {
    if (connection === 0) socket.resetAndDestroy();
    else if (all.endsWith("\r\n\r\n")) socket.write(OK);
  });
  const backends = [backendSpec("a", backend.port), backendSpec("b", backend.port)];
  bench = await startBench({ origin: { ...ORIGIN, trusted: [] }, backends });
  bench.onClose(backend.close);
  const one = client();
  for (let n = 1; n <= 2; n++) {
    one.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => one.text() === OK.repeat(n), { what: `answer ${n}` });
  }
  const ids = [...backend.received.join("").matchAll(/X-Id: ([0-9a-f]{32})\r\n/g)].map(([, id]) => id);
  expect(ids).toHaveLength(3);
  expect(ids[0]).toBe(ids[1]);
  expect(ids[2]).not.toBe(ids[1]);
});

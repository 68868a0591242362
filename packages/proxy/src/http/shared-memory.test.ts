// All connections read into one piece of memory: what a conversation needs longer must not change with others' traffic.
import type { Socket } from "node:net";
import { until } from "@smartstack/core/testing";
import { afterEach, expect, it } from "vitest";
import {
  type Bench,
  backendSpec,
  type RawBackend,
  type RawClient,
  rawBackend,
  rawClient,
  startBench,
} from "../testing/bench.ts";

const NOISE = `GET /noise${"z".repeat(400)} HTTP/1.1\r\nHost: z\r\n\r\n`;
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let bench: Bench;
let backend: RawBackend;
afterEach(() => bench?.close());

async function start(onData: (socket: Socket, all: string) => void): Promise<void> {
  backend = await rawBackend((socket, all) => {
    if (all.includes("/noise")) {
      if (all.endsWith("\r\n\r\n")) socket.write(OK);
    } else onData(socket, all);
  });
  bench = await startBench({ backends: [backendSpec("b", backend.port)] });
  bench.onClose(backend.close);
}

function client(): RawClient {
  const made = rawClient(bench.port());
  bench.onClose(() => {
    made.socket.destroy();
  });
  return made;
}

async function noise(): Promise<void> {
  const other = client();
  other.send(NOISE);
  await other.expect("ok");
}

it("a request head that comes in two parts", async () => {
  await start((socket, all) => {
    if (all.endsWith("\r\n\r\n")) socket.write(OK);
  });
  const one = client();
  one.send("GET /one HTTP/1.1\r\nHo");
  await noise();
  one.send("st: a\r\n\r\n");
  await one.expect("ok");
  expect(backend.received.join("")).toContain("GET /one HTTP/1.1\r\nHost: a\r\n");
});

it("an answer's head that comes in two parts", async () => {
  await start((socket, all) => {
    if (all.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\nX-Fir");
  });
  const one = client();
  one.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
  await until(() => backend.received.some((text) => text.endsWith("\r\n\r\n")), { what: "the request" });
  await noise();
  backend.sockets[0]?.write("st: 1\r\nContent-Length: 2\r\n\r\nok");
  expect(await one.expect("ok")).toBe("HTTP/1.1 200 OK\r\nX-First: 1\r\nContent-Length: 2\r\n\r\nok");
});

it("a request waiting behind another", async () => {
  await start(() => undefined);
  const one = client();
  one.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: b\r\n\r\n");
  await until(() => backend.received[0]?.includes("/one") === true, { what: "the first" });
  await noise();
  backend.sockets[0]?.write(OK);
  await until(() => backend.received[0]?.includes("/two") === true, { what: "the second" });
  expect(backend.received[0]).toContain("GET /two HTTP/1.1\r\nHost: b\r\n");
});

it("head and body held for another attempt", async () => {
  await start((socket, all) => {
    if (all.endsWith("\r\n\r\n") && !all.includes("POST")) socket.write(OK);
    else if (all.startsWith("POST") && all.endsWith("second half")) socket.write(OK);
  });
  const one = client();
  one.send("GET /warm HTTP/1.1\r\nHost: a\r\n\r\n");
  await one.expect("ok");
  one.send("POST /held HTTP/1.1\r\nHost: a\r\nContent-Length: 22\r\n\r\nfirst half ");
  await until(() => backend.received[0]?.endsWith("first half ") === true, { what: "half of it" });
  await noise();
  backend.sockets[0]?.resetAndDestroy();
  await until(() => backend.received.at(-1)?.startsWith("POST") === true, { what: "another attempt" });
  one.send("second half");
  await one.expect(/ok[\s\S]*ok/);
  expect(backend.received.at(-1)).toMatch(
    /^POST \/held HTTP\/1\.1\r\nHost: a\r\n[\s\S]*\r\n\r\nfirst half second half$/,
  );
});

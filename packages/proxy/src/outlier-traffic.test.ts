import { until } from "@smartstack/core/testing";
import { afterEach, expect, it } from "vitest";
import type { ProxyBackendStatus } from "./data-plane.ts";
import { DEFAULT_OUTLIER } from "./outlier.ts";
import { DEFAULT_CHECK, DEFAULT_TIMEOUTS, type ServiceSpec } from "./snapshot.ts";
import { type Bench, backendSpec, type RawBackend, rawBackend, rawClient, startBench } from "./testing/bench.ts";

const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const ERROR = "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno";

let bench: Bench;
afterEach(() => bench?.close());

/** Two good backends beside the one under test, which is called `bad`. */
async function startBeside(bad: RawBackend, change: Partial<ServiceSpec> = {}): Promise<void> {
  const good = await Promise.all([1, 2].map(() => rawBackend((socket) => socket.write(OK))));
  const backends = [bad, ...good].map(({ port }, n) => backendSpec(n === 0 ? "bad" : `good${n}`, port));
  // Only what traffic shows may count here.
  const check = { ...DEFAULT_CHECK, when: "off" } as const;
  bench = await startBench({ backends, check, outlier: DEFAULT_OUTLIER, ...change });
  for (const backend of [bad, ...good]) bench.onClose(() => backend.close());
}

const bad = (): ProxyBackendStatus | undefined => bench.proxy.status()[0]?.backends.find(({ key }) => key === "bad");

/** Asks until the bad one is out; what was answered, by status. */
async function askUntilEjected(request: string): Promise<Record<string, number>> {
  const answers: Record<string, number> = {};
  for (let n = 0; n < 100 && bad()?.usable; n++) {
    const client = rawClient(bench.port());
    client.send(request);
    const text = await client.expect(/ \d{3} .*\r\n[\s\S]*\r\n\r\n/);
    client.socket.destroy();
    const status = text.slice(9, 12);
    answers[status] = (answers[status] ?? 0) + 1;
  }
  return answers;
}

it("an error for every request takes a backend out after five", async () => {
  await startBeside(await rawBackend((socket) => socket.write(ERROR)));
  const answers = await askUntilEjected(GET);
  expect(answers[500]).toBe(5);
  expect(bad()).toMatchObject({ usable: false, reason: /5 failures in a row, the last: status 500/ });
});

it.each([
  ["garbage", "HTTP/9 hello\r\n\r\n", /the last: /],
  ["nothing before it closes", undefined, /the last: closed the connection without an answer/],
  ["half of its answer", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", /failed, the last: its answer broke off/],
])("%s in answer to every request takes a backend out", async (_what, answer, reason) => {
  await startBeside(
    await rawBackend((socket) => {
      if (answer === undefined) socket.end();
      else socket.end(answer);
    }),
  );
  await askUntilEjected(POST);
  expect(bad()).toMatchObject({ usable: false, reason });
});

it("no answer in time takes a backend out", async () => {
  await startBeside(await rawBackend(() => undefined), { timeouts: { ...DEFAULT_TIMEOUTS, serverMs: 400 } });
  const answers = await askUntilEjected(GET);
  expect(answers[504]).toBe(5);
  expect(bad()?.reason).toMatch(/did not answer within 400 ms/);
});

it("who accepts and answers nothing is out long before its timeout, while the others answer", async () => {
  await startBeside(await rawBackend(() => undefined), { outlier: { ...DEFAULT_OUTLIER, silentMs: 100 } });
  const asking = setInterval(() => {
    const client = rawClient(bench.port());
    client.send(GET);
    bench.onClose(() => {
      client.socket.destroy();
    });
  }, 10);
  bench.onClose(() => clearInterval(asking));
  await until(() => bad()?.usable === false, { what: "it is out", timeoutMs: 8_000 });
  expect(bad()?.reason).toMatch(/no answer for \d.\d s, \d+ wait/);
});

it("over TCP, who resets every connection before its first byte is out after five, though it accepts", async () => {
  const resets = await rawBackend((socket) => socket.resetAndDestroy());
  await startBeside(resets, { mode: "tcp" });
  let broken = 0;
  for (let n = 0; n < 100 && bad()?.usable; n++) {
    const client = rawClient(bench.port());
    client.send("hello");
    await until(() => client.closed() || client.text() !== "", { what: "an answer or an end", everyMs: 2 });
    if (client.text() === "") broken++;
    client.socket.destroy();
  }
  expect(bad()).toMatchObject({ usable: false, reason: /reset before its first byte/ });
  expect(broken).toBe(5);
});

it("a request that every backend answers with an error takes none of them out", async () => {
  const all = await Promise.all([1, 2, 3].map(() => rawBackend((socket) => socket.write(ERROR))));
  const backends = all.map(({ port }, n) => backendSpec(n === 0 ? "bad" : `b${n}`, port));
  bench = await startBench({ backends, outlier: DEFAULT_OUTLIER });
  for (const backend of all) bench.onClose(() => backend.close());
  expect(await askUntilEjected(GET)).toEqual({ 500: 100 });
});

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { until } from "@smartstack/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { startChild, untilReady } from "../support/children.ts";
import { type LoadRecord, startLoad } from "../support/load.ts";
import { freePort } from "../support/ports.ts";

const BACKEND = fileURLToPath(new URL("../support/backend.mjs", import.meta.url));

test("every request is recorded, verified and found in the backend's log", async () => {
  const port = await freePort();
  const backend = startChild(process.execPath, [BACKEND], {
    env: { ...process.env, ID: "one", HOST: "127.0.0.1", PORT: String(port) },
  });
  onTestFinished(() => backend.stop());
  await untilReady(backend, "the backend", () => backend.output().includes("listening"));
  const load = startLoad({ port, keepAliveClients: 3, newPerSecond: 50 });
  await until(() => load.records().length >= 60, { what: "60 requests" });
  const records = await load.stop();
  expect(records.filter((record) => record.error !== undefined || record.status !== 200)).toEqual([]);
  expect(new Set(records.map((record) => record.servedBy))).toEqual(new Set(["one"]));
  expect(new Set(records.map((record) => record.method))).toEqual(new Set(["GET", "POST"]));
  expect(new Set(records.map((record) => record.keepAlive))).toEqual(new Set([true, false]));
  // Two ways here: the last answer may come before the line that tells of its question.
  const logged = (): boolean => records.every(({ id }) => backend.output().includes(` ${id}\n`));
  await until(logged, { what: "each request in the backend's log" });
});

test.each<[string, (id: string) => { status: number; id: string; body: string }, Partial<LoadRecord>]>([
  [
    "another's answer",
    () => ({ status: 200, id: "other", body: "a 80\n" }),
    { error: "got the answer of request other" },
  ],
  ["half a body", (id) => ({ status: 200, id, body: "a 8" }), { error: 'wrong body: "a 8"' }],
  ["an error status", (id) => ({ status: 503, id, body: "" }), { status: 503 }],
])("%s is noticed", async (_name, answer, expected) => {
  const server = createServer((request, response) => {
    const { status, id, body } = answer(String(request.headers["x-request-id"]));
    response.writeHead(status, { "x-request-id": id }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const load = startLoad({
    port: (server.address() as AddressInfo).port,
    keepAliveClients: 1,
    newPerSecond: 0,
    postEvery: 0,
  });
  await until(() => load.records().length > 0, { what: "a request" });
  expect((await load.stop())[0]).toMatchObject(expected);
});

test("a refused connection is recorded with its reason", async () => {
  const load = startLoad({ port: await freePort(), keepAliveClients: 1, newPerSecond: 0 });
  await until(() => load.records().length > 0, { what: "a request" });
  expect((await load.stop())[0]?.error).toBe("ECONNREFUSED");
});

// HAProxy as a backend: behind us it must find the message boundaries that we found, and so must Node's parser behind it.
import { until } from "@smartstack/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Bench, backendSpec, rawClient, startBench } from "../../packages/proxy/src/testing/bench.ts";
import {
  type ExpectedMessage,
  HOSTILE_REQUESTS,
  type HostileRequest,
} from "../../packages/proxy/src/testing/hostile-requests.ts";
import { type Recorder, startRecorder } from "../../packages/proxy/src/testing/recorder.ts";
import { type HaProxy, startHaProxy } from "../support/haproxy.ts";
import { freePort } from "../support/ports.ts";

let bench: Bench;
let haproxy: HaProxy;
let recorder: Recorder;
const expected: ExpectedMessage[] = [];

beforeAll(async () => {
  recorder = await startRecorder();
  const port = await freePort();
  haproxy = await startHaProxy(
    `
    defaults
      mode http
      timeout connect 2s
      timeout client 10s
      timeout server 10s
    listen web
      bind 127.0.0.1:${port}
      server recorder 127.0.0.1:${recorder.port}
    `,
    port,
  );
  bench = await startBench({ backends: [backendSpec("haproxy", port)] });
});
afterAll(async () => {
  await bench?.close();
  await haproxy?.stop();
  await recorder?.close();
});

function found(from = 0): ExpectedMessage[] {
  return recorder.messages.slice(from).map(({ line, body }) => ({ line, body }));
}

async function play({ sent, refusal, forwarded }: HostileRequest): Promise<void> {
  const before = recorder.messages.length;
  expected.push(...forwarded);
  const client = rawClient(bench.port());
  try {
    client.send(Buffer.from(sent, "latin1"));
    if (refusal === undefined) {
      const answers = (): number => client.text().split("\r\n\r\nok").length - 1;
      await until(() => answers() === forwarded.length, { what: `the answers in ${client.text()}` });
    } else await client.expectEnd();
  } finally {
    client.socket.destroy();
  }
  expect(found(before)).toEqual(forwarded);
}

/** It takes header names of at most 255 bytes (CVE-2021-40346), so that it refuses this one itself. */
const LONG_NAME = "47b a header name of 270 bytes";

describe("HAProxy finds our boundaries in", () => {
  const rows = HOSTILE_REQUESTS.filter(({ row }) => row !== LONG_NAME);
  it.each(rows.map((request) => [request.row, request] as const))("row %s", (_, request) => play(request));

  it("a header name that is too long for it, which it refuses whole", async () => {
    const request = HOSTILE_REQUESTS.find(({ row }) => row === LONG_NAME);
    const client = rawClient(bench.port());
    client.send(request?.sent ?? "");
    await client.expect(/^HTTP\/1\.1 400 /);
    client.socket.destroy();
  });

  it("all of them, and nothing came late", async () => {
    const last = { row: "", sent: "GET /last HTTP/1.1\r\nHost: a\r\n\r\n", refusal: undefined };
    await play({ ...last, forwarded: [{ line: "GET /last", body: "" }] });
    expect(found()).toEqual(expected);
  });
});

// Each hostile request is refused, or forwarded so that an independent parser finds the messages we found.
import { until } from "@smartstack/core/testing";
import { afterEach, describe, expect, it } from "vitest";
import { type Bench, backendSpec, rawClient, startBench } from "../testing/bench.ts";
import { HOSTILE_REQUESTS, type HostileRequest } from "../testing/hostile-requests.ts";
import { type Recorder, startRecorder } from "../testing/recorder.ts";

/** What llhttp says of a message whose connection ended within it. */
const CUT_OFF = "HPE_INVALID_EOF_STATE";

let bench: Bench;
let recorder: Recorder;
afterEach(() => bench.close());

/** Sends the pieces one by one and returns the answers, once the proxy is done with them. */
async function send(pieces: readonly string[], { refusal, forwarded }: HostileRequest): Promise<string> {
  recorder = await startRecorder();
  bench = await startBench({ backends: [backendSpec("b", recorder.port)] });
  bench.onClose(recorder.close);
  const client = rawClient(bench.port());
  bench.onClose(() => {
    client.socket.destroy();
  });
  for (const piece of pieces) {
    client.send(Buffer.from(piece, "latin1"));
    if (pieces.length > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  if (refusal !== undefined) return client.expectEnd();
  await until(() => client.text().split("\r\n\r\nok").length === forwarded.length + 1, { what: "the answers" });
  return client.text();
}

async function judge(pieces: readonly string[], request: HostileRequest): Promise<void> {
  const answers = await send(pieces, request);
  const { refusal, forwarded } = request;
  if (refusal === 0) expect(answers).toBe("");
  else if (refusal !== undefined)
    expect(answers).toMatch(new RegExp(`^HTTP/1\\.1 ${refusal} .*Connection: close`, "s"));
  expect(recorder.messages.map(({ line, body }) => ({ line, body }))).toEqual(forwarded);
  for (const { rawHeaders } of recorder.messages) {
    const framing = rawHeaders.filter((name, n) => n % 2 === 0 && /^(content-length|transfer-encoding)$/i.test(name));
    expect(framing.length).toBeLessThanOrEqual(1);
  }
  if (refusal !== undefined) {
    // Nobody may take up what the backend got of it.
    await until(() => recorder.openConnections() === 0, { what: "the upstream's end" });
    expect(recorder.errors.filter((text) => !text.startsWith(CUT_OFF))).toEqual([]);
  }
}

/** The ways to cut it that show something: at the head's end, and everywhere. */
function cutsOf({ sent }: HostileRequest): [string, string[]][] {
  const cuts: [string, string[]][] = [["in one piece", [sent]]];
  const headEnd = sent.indexOf("\r\n\r\n") + 4;
  if (headEnd > 4 && headEnd < sent.length)
    cuts.push(["its head first", [sent.slice(0, headEnd), sent.slice(headEnd)]]);
  if (sent.length < 1_000) cuts.push(["byte by byte", [...sent]]);
  return cuts;
}

for (const request of HOSTILE_REQUESTS) {
  describe(`row ${request.row}`, () => {
    it.each(cutsOf(request))("%s", (_, pieces) => judge(pieces, request));
  });
}

describe("what a backend gets of them", () => {
  const row = (start: string): HostileRequest => {
    const found = HOSTILE_REQUESTS.find((request) => request.row.startsWith(`${start} `));
    if (found === undefined) throw new Error(`no row ${start}`);
    return found;
  };
  const headersOf = (n: number): readonly string[] => recorder.messages[n]?.rawHeaders ?? [];

  it("row 39: the length and our own forwarding header, not what Connection named", async () => {
    await judge([row("39").sent], row("39"));
    const length = String(row("39").forwarded[0]?.body.length);
    const expected = ["Host", "a.test", "Content-Length", length, "X-Forwarded-For", "127.0.0.1"];
    expect(headersOf(0)).toEqual([...expected, "X-Forwarded-Proto", "http"]);
  });

  it.each(["40", "49"])("row %s: nothing of an upgrade", async (start) => {
    await judge([row(start).sent], row(start));
    expect(recorder.bytes[0]).not.toMatch(/upgrade|http2-settings|h2c/i);
  });

  it("row 41: the body of a chunked DELETE, chunk by chunk", async () => {
    const { sent } = row("41");
    await judge([sent], row("41"));
    const bodyOf = (text: string): string => text.slice(text.indexOf("\r\n\r\n"));
    expect(bodyOf(recorder.bytes[0] ?? "")).toBe(bodyOf(sent));
    expect(headersOf(0).map((text) => text.toLowerCase())).not.toContain("content-length");
  });

  it("row 44: one 100 only, though the body is there", async () => {
    const answers = await send([row("44").sent], row("44"));
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 100", "HTTP/1.1 200"]);
  });

  it("row 45: the client's own address last", async () => {
    await judge([row("45").sent], row("45"));
    expect(recorder.bytes[0]).toContain("X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n");
  });
});

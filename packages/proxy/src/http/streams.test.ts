// Streams of messages through parser, body decoder and forwarding, with llhttp as the second opinion.
import { seededRandom } from "@smartstack/core/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { disagreement, fuzzOnce } from "../testing/stream-fuzz.ts";
import { madeStream } from "../testing/stream-grammar.ts";
import { streamModel } from "../testing/stream-model.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe("any valid stream, however it is cut, is read as the messages it was made of", () => {
  it.each(["requests", "responses"] as const)("%s", (kind) => {
    fc.assert(
      fc.property(seeds, fc.array(fc.nat(1_000), { maxLength: 20 }), (seed, cuts) => {
        const { text, messages } = madeStream(kind, seededRandom(seed));
        const bytes = Buffer.from(text, "latin1");
        const points = [0, ...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length];
        const pieces = points.slice(1).map((to, n) => bytes.subarray(points[n], to));
        const read =
          kind === "requests" ? streamModel.readRequests : (of: Buffer[]) => streamModel.readResponses(of, true);
        expect(read(pieces)).toMatchObject({ messages, end: "open" });
        expect(read([...bytes].map((byte) => Buffer.of(byte)))).toEqual(read(pieces));
      }),
      { numRuns: 200 },
    );
  });
});

/** What has been put around "Transfer-Encoding: chunked" to hide it from one of two parsers. */
const BYTES = [0x01, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1f, 0x20, 0x7f, 0xa0, 0xff];
const SMUGGLED = "GET /smug HTTP/1.1\r\nHost: b.test\r\n\r\n";

/** The header line with a byte at each place that a parser may overlook, alone and twice. */
function faulty(name: string, value: string, byte: string): string[] {
  const half = Math.floor(name.length / 2);
  return [
    `${byte}${name}: ${value}\r\n`,
    `X: y${byte}\r\n${name}: ${value}\r\n`,
    `X: y\r${byte}${name}: ${value}\r\n`,
    `X:${byte}\n${name}: ${value}\r\n`,
    `${name.slice(0, half)}${byte}${name.slice(half)}: ${value}\r\n`,
    `${name}${byte}: ${value}\r\n`,
    `${name}:${byte}${value}\r\n`,
    `${name}: ${byte}${value}\r\n`,
    `${name}: ${value}${byte}\r\n`,
    `${name}: ${value}\r${byte}\r\n`,
    `${name}: ${value.slice(0, 1)}${byte}${value.slice(1)}\r\n`,
    `${name}: "${value}${byte}"\r\n`,
    `${name}: ${value},${byte}\r\n`,
    `${name}:${byte}\r\n ${value}\r\n`,
  ];
}

function streamsWith(byte: string): string[] {
  const start = "POST /x HTTP/1.1\r\nHost: a.test\r\n";
  const hiding = `0\r\n\r\n${SMUGGLED}`;
  const sized = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;
  const streams: string[] = [];
  for (const line of faulty("Transfer-Encoding", "chunked", byte)) {
    const length = `Content-Length: ${hiding.length}\r\n`;
    streams.push(`${start}${length}${line}\r\n${hiding}`, `${start}${line}${length}\r\n${hiding}`);
    streams.push(`${start}${line}\r\n${sized}`);
  }
  for (const line of faulty("Content-Length", "5", byte)) {
    streams.push(`${start}${line}Transfer-Encoding: chunked\r\n\r\n${sized}`, `${start}${line}\r\nhello`);
  }
  return streams;
}

describe("a framing header with a byte too many hides no request", () => {
  it.each(BYTES.map((byte) => [byte.toString(16).padStart(2, "0"), byte]))("%s", (_, byte) => {
    for (const stream of streamsWith(String.fromCharCode(byte as number))) {
      const bytes = Buffer.from(stream, "latin1");
      const { messages } = streamModel.readRequests([bytes]);
      expect(
        disagreement(
          streamModel,
          "requests",
          bytes,
          [...bytes].map((each) => Buffer.of(each)),
        ),
        stream,
      ).toBeUndefined();
      expect(messages.filter(({ line }) => line.includes("/smug"))).toEqual([]);
    }
  });
});

it("a first thousand of broken streams shows nothing that the fuzzer would find", () => {
  const random = seededRandom(1);
  for (let n = 0; n < 1_000; n++) expect(fuzzOnce(streamModel, random)).toBeUndefined();
});

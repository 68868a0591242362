import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as h from "./head.ts";
import { COMPLETE, NEED_MORE } from "./parse-fields.ts";
import { parseRequest } from "./parse-request.ts";

const H = "Host: a.test\r\n";

function parse(text: string): { verdict: number; head: h.Head; bytes: Buffer } {
  const bytes = Buffer.from(text, "latin1");
  const head = h.createHead();
  return { verdict: parseRequest(bytes, 0, head), head, bytes };
}

describe("a good request", () => {
  it("is read into offsets and meaning", () => {
    const text = `POST /a?b HTTP/1.1\r\n${H}Content-Length: 12\r\nConnection: close, x-own\r\nX-Own: \t v w \t\r\n\r\nrest`;
    const { verdict, head, bytes } = parse(text);
    expect(verdict).toBe(COMPLETE);
    expect(head).toMatchObject({ minor: 1, framing: h.BY_LENGTH, contentLength: 12, persistent: false, count: 4 });
    expect(head).toMatchObject({ namesHeaders: true, end: text.length - 4, method: h.OTHER_METHOD });
    expect(bytes.toString("latin1", head.targetStart, head.targetEnd)).toBe("/a?b");
    expect(bytes.toString("latin1", h.valueStart(head, 3), h.valueEnd(head, 3))).toBe("v w");
  });

  it.each([
    ["origin form", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["absolute form that agrees with Host", "GET http://A.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"],
    ["an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"],
    ["an empty value", `GET / HTTP/1.1\r\n${H}X:\r\n\r\n`],
    ["bytes above 127 in a value", `GET / HTTP/1.1\r\n${H}X: \xe4\xff\r\n\r\n`],
    ["an unknown method", `PROPFIND / HTTP/1.1\r\n${H}\r\n`],
    ["percent escapes and backslash", `GET /a/%2e%2e/%00\\ HTTP/1.1\r\n${H}\r\n`],
    ["chunked in capitals", `POST / HTTP/1.1\r\n${H}Transfer-Encoding: Chunked\r\n\r\n`],
    ["100 header lines", `GET / HTTP/1.1\r\n${H}${"a: b\r\n".repeat(99)}\r\n`],
    ["a long header name", `GET / HTTP/1.1\r\n${H}Content-Length0${"a".repeat(256)}: 5\r\n\r\n`],
  ])("%s is accepted", (_, text) => expect(parse(text).verdict).toBe(COMPLETE));

  it.each([
    ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", true],
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", false],
    ["GET / HTTP/1.0\r\n\r\n", false],
    ["GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true],
  ])("%j persists: %s", (text, persistent) => expect(parse(text).head.persistent).toBe(persistent));
});

// What HAProxy, nginx, Caddy and node:http do with these differs; whoever forwards one can be made to smuggle.
const HOSTILE: readonly (readonly [string, number, string])[] = [
  [
    "length and chunked",
    400,
    `POST / HTTP/1.1\r\n${H}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`,
  ],
  ["chunked and length", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n`],
  ["two lengths", 400, `POST / HTTP/1.1\r\n${H}Content-Length: 5\r\nContent-Length: 10\r\n\r\n`],
  ["two equal lengths", 400, `POST / HTTP/1.1\r\n${H}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`],
  ...[
    "5, 5",
    "5, 6",
    "+5",
    "-1",
    "0x5",
    "",
    ", 5",
    "5_0",
    "05",
    "18446744073709551621",
    "5 5",
    "5;",
    "5\t",
    "5 \t ",
  ].map((value) => [`length ${value}`, 400, `POST / HTTP/1.1\r\n${H}Content-Length: ${value}\r\n\r\nhello`] as const),
  ["blank before the colon of length", 400, `POST / HTTP/1.1\r\n${H}Content-Length : 5\r\n\r\nhello`],
  ["blank before the colon of chunked", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding : chunked\r\n\r\n`],
  ["unknown coding", 501, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n`],
  ["chunked not last", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, identity\r\n\r\n`],
  ["chunked twice in one", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n\r\n`],
  ["another coding below chunked", 501, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n`],
  ["two codings lines", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ["empty coding", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: ,chunked\r\n\r\n`],
  ["vertical tab in a coding", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \x0bchunked\r\n\r\n`],
  ["a tab behind a coding", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\t\r\n\r\n`],
  ["folded coding", 400, `POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n chunked\r\n\r\n`],
  ["folded line", 400, `GET / HTTP/1.1\r\n${H}X: a\r\n b\r\n\r\n`],
  ["chunked in HTTP/1.0", 400, `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`],
  ["bare LF everywhere", 400, "GET / HTTP/1.1\nHost: a.test\n\n"],
  ["bare LF in a header", 400, `GET / HTTP/1.1\r\n${H}X: a\nY: b\r\n\r\n`],
  ["fragment in the target", 400, `GET /x#y HTTP/1.1\r\n${H}\r\n`],
  ["bare CR in a value", 400, `GET / HTTP/1.1\r\n${H}X: a\rb\r\n\r\n`],
  ["NUL in a value", 400, `GET / HTTP/1.1\r\n${H}X: a\0b\r\n\r\n`],
  ["BEL in a value", 400, `GET / HTTP/1.1\r\n${H}X: a\x07b\r\n\r\n`],
  ["DEL in a value", 400, `GET / HTTP/1.1\r\n${H}X: a\x7fb\r\n\r\n`],
  ["blank in a name", 400, `GET / HTTP/1.1\r\n${H}X y: b\r\n\r\n`],
  ["empty name", 400, `GET / HTTP/1.1\r\n${H}: b\r\n\r\n`],
  ["line without a colon", 400, `GET / HTTP/1.1\r\n${H}junk\r\n\r\n`],
  ["blank before the first header", 400, `GET / HTTP/1.1\r\n ${H}\r\n`],
  ["no Host", 400, "GET / HTTP/1.1\r\n\r\n"],
  ["two Hosts", 400, `GET / HTTP/1.1\r\n${H}Host: b.test\r\n\r\n`],
  ["two equal Hosts", 400, `GET / HTTP/1.1\r\n${H}${H}\r\n`],
  ["a target for another host", 400, `GET http://evil.test/x HTTP/1.1\r\n${H}\r\n`],
  ["user in the target of HTTP/1.0", 400, "GET http://u@a.test/ HTTP/1.0\r\n\r\n"],
  ["user in Host", 400, "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n"],
  ["list in Host", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"],
  ["path in Host", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
  ["blank in the target", 400, `GET /x y HTTP/1.1\r\n${H}\r\n`],
  ["junk behind the version", 400, `GET / HTTP/1.1 junk\r\n${H}\r\n`],
  ["NUL in the target", 400, `GET /\0 HTTP/1.1\r\n${H}\r\n`],
  ["0xFF in the target", 400, `GET /\xff HTTP/1.1\r\n${H}\r\n`],
  ["no token as method", 400, `G=T / HTTP/1.1\r\n${H}\r\n`],
  ["relative target", 400, `GET x HTTP/1.1\r\n${H}\r\n`],
  ["https target", 400, `GET https://a.test/ HTTP/1.1\r\n${H}\r\n`],
  ["GET *", 400, `GET * HTTP/1.1\r\n${H}\r\n`],
  ["HTTP/2.0", 505, "GET /x HTTP/2.0\r\n"],
  ["the HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["HTTP/1.2", 505, `GET / HTTP/1.2\r\n${H}\r\n`],
  ["lower case version", 400, `GET / http/1.1\r\n${H}\r\n`],
  ["HTTP/0.9", 400, "GET /x\r\n"],
  ["CONNECT", 405, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"],
  ["TRACE", 405, `TRACE / HTTP/1.1\r\n${H}\r\n`],
  ["unknown Expect", 417, `GET / HTTP/1.1\r\n${H}Expect: bogus\r\n\r\n`],
  ["101 header lines", 431, `GET / HTTP/1.1\r\n${H}${"a: b\r\n".repeat(100)}\r\n`],
  ["a header of 20 kB", 431, `GET / HTTP/1.1\r\n${H}X: ${"x".repeat(20_000)}`],
  ["a target of 20 kB", 414, `GET /${"x".repeat(20_000)}`],
  ["a method of 100 kB", 400, "x".repeat(100_000)],
];

describe("hostile requests", () => {
  it.each(HOSTILE)("%s: %i", (_, status, text) => {
    expect(parse(text).verdict).toBe(status);
  });

  it.each(HOSTILE)("%s: %i, however the bytes are cut", (_, status, text) => {
    const bytes = Buffer.from(text, "latin1");
    const step = Math.max(1, Math.floor(bytes.length / 500));
    const verdicts = new Set<number>();
    for (let cut = 1; cut <= bytes.length; cut += step)
      verdicts.add(parseRequest(bytes.subarray(0, cut), 0, h.createHead()));
    verdicts.add(parse(text).verdict);
    verdicts.delete(NEED_MORE);
    expect([...verdicts]).toEqual([status]);
  });
});

it("needs every byte of a good head, wherever it is cut, and none behind it", () => {
  const text = `GET http://a.test/x?y HTTP/1.1\r\n${H}Connection: keep-alive\r\nAccept: */*\r\n\r\n`;
  for (let cut = 0; cut < text.length; cut++) expect(parse(text.slice(0, cut)).verdict).toBe(NEED_MORE);
  expect(parse(text).verdict).toBe(COMPLETE);
  expect(parse(`${text}garbage`).head.end).toBe(text.length);
});

it("survives any bytes with a verdict, and accepts only heads that end in a blank line", () => {
  const piece = fc.oneof(
    fc.constantFrom("GET ", "/ ", "HTTP/1.1", "\r\n", "Host: a", ": ", "Content-Length: 5", "\n", "\r", " ", "\0"),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const { verdict, head, bytes } = parse(pieces.join(""));
      expect([NEED_MORE, COMPLETE, 400, 405, 414, 417, 431, 501, 505]).toContain(verdict);
      if (verdict === COMPLETE) expect(bytes.toString("latin1", head.end - 4, head.end)).toBe("\r\n\r\n");
    }),
  );
});

it("tells known names apart by length and first letter alone", () => {
  const shapes = [...h.KNOWN_NAMES.keys()].map((name) => `${name.length} ${name[0]}`);
  expect(new Set(shapes).size).toBe(shapes.length);
  expect(Math.max(...[...h.KNOWN_NAMES.keys()].map((name) => name.length))).toBeLessThan(32);
});

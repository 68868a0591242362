/** A message as the backend must find it. */
export interface ExpectedMessage {
  readonly line: string;
  readonly body: string;
}

/** One hostile request, what must become of it, and the messages a backend may find: exactly these. */
export interface HostileRequest {
  readonly row: string;
  readonly sent: string;
  /** The proxy's own last answer; 0 = closed without one, undefined = all was forwarded. */
  readonly refusal: number | undefined;
  readonly forwarded: readonly ExpectedMessage[];
}

const H = "Host: a.test\r\n";
/** What an attacker wants a backend to take for a request of its own. */
const G = "GET /smug HTTP/1.1\r\nHost: b.test\r\n\r\n";
const CHUNKED = `POST /x HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`;

function post(headers: string, body = "hello"): string {
  return `POST /x HTTP/1.1\r\n${H}${headers}\r\n\r\n${body}`;
}

function get(headers: string): string {
  return `GET /x HTTP/1.1\r\n${H}${headers}\r\n\r\n`;
}

function refused(row: string, refusal: number, sent: string): HostileRequest {
  return { row, sent, refusal, forwarded: [] };
}

function forwarded(row: string, sent: string, ...messages: readonly [line: string, body?: string][]): HostileRequest {
  return { row, sent, refusal: undefined, forwarded: messages.map(([line, body = ""]) => ({ line, body })) };
}

/** Where HAProxy, nginx, Caddy and node:http differ, or have differed, in what they take for one request. */
export const HOSTILE_REQUESTS: readonly HostileRequest[] = [
  refused("1 length, then chunked", 400, post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nX")),
  refused("2 chunked, then length", 400, post("Transfer-Encoding: chunked\r\nContent-Length: 30", `0\r\n\r\n${G}`)),
  refused("3 two lengths", 400, post("Content-Length: 5\r\nContent-Length: 10")),
  refused("4 two equal lengths", 400, post("Content-Length: 5\r\nContent-Length: 5")),
  refused("5 a list of equal lengths", 400, post("Content-Length: 5, 5")),
  refused("6 a list of lengths", 400, post("Content-Length: 5, 6")),
  refused("7 a length with a sign", 400, post("Content-Length: +5")),
  refused("8 a negative length", 400, post("Content-Length: -1")),
  refused("9 a length in hex", 400, post("Content-Length: 0x5")),
  refused("10 an empty length", 400, post("Content-Length: ", G)),
  refused("10b an empty element before the length", 400, post("Content-Length: , 5")),
  refused("11 a length above 64 bits", 400, post("Content-Length: 18446744073709551621")),
  refused("12 a blank before length's colon", 400, post("Content-Length : 5")),
  refused("12b a blank before chunked's colon", 400, post("Transfer-Encoding : chunked", `0\r\n\r\n${G}`)),
  refused("13 xchunked", 501, post("Transfer-Encoding: xchunked", `0\r\n\r\n${G}`)),
  refused("14 chunked, identity", 400, post("Transfer-Encoding: chunked, identity", `0\r\n\r\n${G}`)),
  refused("15 gzip, chunked", 501, post("Transfer-Encoding: gzip, chunked", `0\r\n\r\n${G}`)),
  refused("16 two chunked", 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n")),
  refused("17 an empty coding before chunked", 400, post("Transfer-Encoding: ,chunked", "0\r\n\r\n")),
  refused("18 a vertical tab before chunked", 400, post("Transfer-Encoding: \x0bchunked", "0\r\n\r\n")),
  refused("19 chunked on a folded line", 400, post("Transfer-Encoding:\r\n chunked", "0\r\n\r\n")),
  refused("20 chunked in HTTP/1.0", 400, `POST /x HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  refused("21 a chunk size 0x5", 400, `${CHUNKED}0x5\r\nhello\r\n0\r\n\r\n`),
  refused("22 a chunk size +5", 400, `${CHUNKED}+5\r\nhello\r\n0\r\n\r\n`),
  refused("22b a chunk size -1", 400, `${CHUNKED}-1\r\nhello\r\n0\r\n\r\n`),
  refused("22c a chunk size 5_0", 400, `${CHUNKED}5_0\r\nhello\r\n0\r\n\r\n`),
  refused("23 a chunk size above 64 bits", 400, `${CHUNKED}10000000000000005\r\nhello\r\n0\r\n\r\n`),
  refused("24 a blank behind the chunk size", 400, `${CHUNKED}5 \r\nhello\r\n0\r\n\r\n`),
  refused("25 an extension that ends in LF", 400, `${CHUNKED}2;\nxx\r\n0\r\n\r\n`),
  refused("26 a chunk size that ends in LF", 400, `${CHUNKED}5\nhello\r\n0\r\n\r\n`),
  refused("27 a chunk that is longer than its size", 400, `${CHUNKED}5\r\nhelloXX0\r\n\r\n`),
  refused("28 a bare CR before an extension", 400, `${CHUNKED}5\r\r;ABCD\r\nhello\r\n0\r\n\r\n`),
  refused("28b NUL in an extension", 400, `${CHUNKED}5;a\0b\r\nhello\r\n0\r\n\r\n`),
  refused("28c an extension of 64 KiB", 413, `${CHUNKED}5;${"x".repeat(65_536)}\r\nhello\r\n0\r\n\r\n`),
  refused("29 a length as trailer", 400, `${CHUNKED}5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n`),
  refused("29b a route as trailer", 400, `${CHUNKED}5\r\nhello\r\n0\r\nHost: b.test\r\n\r\n`),
  refused("29c credentials as trailer", 400, `${CHUNKED}5\r\nhello\r\n0\r\nCookie: admin=1\r\n\r\n`),
  refused("30 lines that end in LF", 400, `GET /x HTTP/1.1\nHost: a.test\n\n${G}`),
  refused("31 a fragment in the target", 400, `GET /x#y HTTP/1.1\r\n${H}\r\n`),
  refused("32 a bare CR in a value", 400, get("X: a\rb")),
  refused("32b NUL in a value", 400, get("X: a\0b")),
  refused("32c BEL in a value", 400, get("X: a\x07b")),
  refused("33 a blank in a name", 400, get("X y: b")),
  refused("33b an empty name", 400, get(": b")),
  refused("33c a line without a colon", 400, get("junk")),
  refused("33d a blank before the first header", 400, `GET /x HTTP/1.1\r\n ${H}\r\n`),
  refused("34 no Host", 400, "GET /x HTTP/1.1\r\n\r\n"),
  refused("35 two Hosts", 400, get("Host: b.test")),
  refused("36 a target for another host", 400, `GET http://evil.test/x HTTP/1.1\r\n${H}\r\n`),
  refused("36b a user in Host", 400, "GET /x HTTP/1.1\r\nHost: u@a.test\r\n\r\n"),
  refused("36c two hosts in Host", 400, "GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n"),
  refused("37 a blank in the target", 400, `GET /x y HTTP/1.1\r\n${H}\r\n`),
  refused("37b junk behind the version", 400, `GET /x HTTP/1.1 junk\r\n${H}\r\n`),
  refused("37c NUL in the target", 400, `GET /\0 HTTP/1.1\r\n${H}\r\n`),
  refused("37d a byte above 127 in the target", 400, `GET /\xff HTTP/1.1\r\n${H}\r\n`),
  refused("37e a method that is no token", 400, `G=T /x HTTP/1.1\r\n${H}\r\n`),
  refused("38 HTTP/2.0", 505, `GET /x HTTP/2.0\r\n${H}\r\n`),
  refused("38b the HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  refused("38c a TLS hello", 0, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
  refused("38d HTTP/0.9", 400, "GET /x\r\n"),
  forwarded(
    "39 Connection that names a length, a forwarding header and an own one",
    `POST /x HTTP/1.1\r\n${H}Connection: close, X-Auth, X-Forwarded-For, Content-Length\r\nX-Auth: 1\r\nContent-Length: ${G.length}\r\n\r\n${G}`,
    ["POST /x", G],
  ),
  forwarded(
    "40 an upgrade to h2c",
    get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
    ["GET /x"],
  ),
  forwarded(
    "40b a WebSocket of version 777 with a request behind it",
    `${get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")}GET /second HTTP/1.1\r\n${H}\r\n`,
    ["GET /x"],
    ["GET /second"],
  ),
  refused("40c CONNECT", 405, "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"),
  refused("40d TRACE", 405, `TRACE /x HTTP/1.1\r\n${H}\r\n`),
  ...["DELETE", "OPTIONS"].map((method) =>
    forwarded(
      `41 a chunked ${method} that hides a request`,
      `${method} /x HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n${G.length.toString(16)}\r\n${G}\r\n0\r\n\r\n`,
      [`${method} /x`, G],
    ),
  ),
  refused("42 200 header lines", 431, get("a: b\r\n".repeat(200).trimEnd())),
  refused("42b a header of 20 kB", 431, get(`X: ${"x".repeat(20_000)}`)),
  refused("42c a target of 20 kB", 414, `GET /${"x".repeat(20_000)} HTTP/1.1\r\n${H}\r\n`),
  refused("42d a method of 100 kB", 400, `${"G".repeat(100_000)} /x HTTP/1.1\r\n${H}\r\n`),
  refused("42e 10,000 header lines", 431, get("a: b\r\n".repeat(10_000).trimEnd())),
  forwarded(
    "43 a GET with a body that looks like a request, and another one behind it",
    `${get(`Content-Length: ${G.length}`)}${G}GET /second HTTP/1.1\r\n${H}\r\n`,
    ["GET /x", G],
    ["GET /second"],
  ),
  forwarded("44 an expectation with the body already sent", post("Expect: 100-continue\r\nContent-Length: 5"), [
    "POST /x",
    "hello",
  ]),
  refused("44b an unknown expectation", 417, post("Expect: bogus\r\nContent-Length: 5")),
  forwarded("45 forwarding headers made up by the client", get("X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4"), [
    "GET /x",
  ]),
  ...["/a/%2e%2e/%2e%2e/etc", "/a%00", "/a%0d%0aX:y", "/a\\..\\b", "/%c0%ae%c0%ae/"].map((target) =>
    forwarded(`46 the target ${target}`, `GET ${target} HTTP/1.1\r\n${H}\r\n`, [`GET ${target}`]),
  ),
  refused("47 header names of 65,535 bytes", 431, get(`Content-Length0${"a".repeat(65_521)}: 5`)),
  forwarded("47b a header name of 270 bytes", get(`Content-Length0${"a".repeat(255)}: 5`), ["GET /x"]),
  forwarded("48 an absolute target that agrees with Host", "GET http://A.test/y?z HTTP/1.1\r\nHost: a.test\r\n\r\n", [
    "GET /y?z",
  ]),
  forwarded(
    "49 an upgrade to h2c beside one to WebSocket",
    get("Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket"),
    ["GET /x"],
  ),
];

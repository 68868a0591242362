import { describe, expect, it } from "vitest";
import type { OriginSpec } from "../snapshot.ts";
import { flushStage, type Receiver } from "../stage.ts";
import { forwardRequest, forwardResponse, type RequestEdits, type ResponseEdits } from "./forward.ts";
import { createHead } from "./head.ts";
import { DEFAULT_ORIGIN, isTrusted, type Origin } from "./origin.ts";
import { COMPLETE } from "./parse-fields.ts";
import { parseRequest } from "./parse-request.ts";
import { parseResponse } from "./parse-response.ts";

const ORIGIN: Origin = {
  spec: DEFAULT_ORIGIN,
  trusted: true,
  clientAddress: Buffer.from("10.1.2.3"),
  requestId: undefined,
};
const EDITS: RequestEdits = { host: undefined, fallbackHost: "10.0.0.1:80", origin: ORIGIN };
/** What a receiver got. */
function received(write: (to: Receiver) => void): string {
  let text = "";
  const to: Receiver = {
    send(memory, length) {
      text += memory.first(length).toString("latin1");
      return false;
    },
  };
  write(to);
  flushStage();
  return text;
}
const ADDED = "X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: http\r\n";

function request(lines: readonly string[], edits: Partial<RequestEdits> = {}): string {
  const bytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  const head = createHead();
  expect(parseRequest(bytes, 0, head)).toBe(COMPLETE);
  return received((to) => forwardRequest(bytes, head, { ...EDITS, ...edits }, to));
}

function response(lines: readonly string[], edits: Partial<ResponseEdits> = {}): string {
  const bytes = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  const head = createHead();
  expect(parseResponse(bytes, 0, head, false)).toBe(COMPLETE);
  return received((to) => forwardResponse(bytes, head, { connection: undefined, dechunk: false, ...edits }, to));
}

describe("a request", () => {
  it("keeps every other byte", () => {
    expect(request(["GET /a HTTP/1.1", "hOsT: a", "X:  y", "Cookie: \xff"])).toBe(
      `GET /a HTTP/1.1\r\nhOsT: a\r\nX:  y\r\nCookie: \xff\r\n${ADDED}\r\n`,
    );
  });

  it("loses hop-by-hop headers and those Connection names", () => {
    const text = request([
      "GET / HTTP/1.1",
      "Connection: close, X-Auth",
      "Host: a",
      "X-Auth: secret",
      "Keep-Alive: 5",
      "Proxy-Connection: x",
      "TE: gzip",
      "Upgrade: h2c",
      "HTTP2-Settings: AAA",
      "X-Auth-Not: kept",
    ]);
    expect(text).toBe(`GET / HTTP/1.1\r\nHost: a\r\nX-Auth-Not: kept\r\n${ADDED}\r\n`);
  });

  it("cannot have framing, identity or our own headers removed by Connection", () => {
    const text = request([
      "POST / HTTP/1.1",
      "Host: a",
      "Connection: close, Host, Content-Length, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Forwarded, Cookie",
      "Content-Length: 3",
      "X-Forwarded-Host: h",
      "Forwarded: for=1",
      "Cookie: c",
    ]);
    expect(text).toBe(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Forwarded-Host: h\r\nForwarded: for=1\r\nCookie: c\r\n${ADDED}\r\n`,
    );
  });

  it("has its client appended to all it says of earlier hops, in one line", () => {
    const text = request([
      "GET / HTTP/1.1",
      "Host: a",
      "X-Forwarded-For: 1.1.1.1",
      "x-forwarded-for: 2.2.2.2, 3.3.3.3",
    ]);
    expect(text).toContain("\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.1.2.3\r\n");
    expect(text.match(/forwarded-for/gi)).toHaveLength(1);
  });

  it("keeps the protocol an earlier hop saw", () => {
    const text = request(["GET / HTTP/1.1", "Host: a", "X-Forwarded-Proto: https"]);
    expect(text.match(/X-Forwarded-Proto: .*/g)).toEqual(["X-Forwarded-Proto: https"]);
  });

  it("says nothing of a client without an address", () => {
    expect(request(["GET / HTTP/1.1", "Host: a"], { origin: { ...ORIGIN, clientAddress: undefined } })).not.toContain(
      "Forwarded-For",
    );
  });

  it.each([
    ["GET http://a/x?y HTTP/1.1", "GET /x?y HTTP/1.1"],
    ["GET http://a HTTP/1.1", "GET / HTTP/1.1"],
    ["GET http://a?q HTTP/1.1", "GET /?q HTTP/1.1"],
    ["OPTIONS http://a HTTP/1.1", "OPTIONS * HTTP/1.1"],
    ["GET /h HTTP/1.0", "GET /h HTTP/1.1"],
  ])("%s becomes %s", (line, expected) => {
    expect(request([line, "Host: a"])).toBe(`${expected}\r\nHost: a\r\n${ADDED}\r\n`);
  });

  it("gets the Host it is given, or one it lacked", () => {
    expect(request(["GET / HTTP/1.1", "Host: a"], { host: "inner" })).toBe(
      `GET / HTTP/1.1\r\nHost: inner\r\n${ADDED}\r\n`,
    );
    expect(request(["GET / HTTP/1.0"])).toContain("\r\nHost: 10.0.0.1:80\r\n");
  });

  it("keeps a WebSocket's upgrade and no other", () => {
    const upgrade = (name: string): string =>
      request(["GET / HTTP/1.1", "Host: a", "Connection: Upgrade", `Upgrade: ${name}`]);
    expect(upgrade("websocket")).toBe(
      `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${ADDED}\r\n`,
    );
    expect(upgrade("h2c")).not.toContain("Upgrade");
  });

  it("keeps TE: trailers, and Expect for HTTP/1.1 only", () => {
    expect(request(["GET / HTTP/1.1", "Host: a", "TE: trailers", "Expect: 100-continue"])).toContain(
      "TE: trailers\r\nExpect: 100-continue\r\n",
    );
    expect(request(["GET / HTTP/1.0", "Host: a", "Expect: 100-continue"])).not.toContain("Expect");
  });
});

describe("a request's origin", () => {
  const all: OriginSpec = {
    xForwarded: { for: true, proto: true, host: true },
    forwarded: true,
    via: "edge",
    requestId: "X-Request-Id",
    trusted: ["10.0.0.0/8"],
  };
  const told = (lines: readonly string[], change: Partial<Origin> = {}): string[] =>
    request(["GET / HTTP/1.1", "Host: a.test:80", ...lines], {
      origin: { ...ORIGIN, spec: all, requestId: "42", ...change },
    })
      .split("\r\n")
      .slice(2, -2);
  const claims = [
    ...["X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: b", "X-Forwarded-Port: 1"],
    ...["Forwarded: for=1.1.1.1", "Via: 1.1 other", "x-request-id: 7"],
  ];

  it("is told in every way that is asked for", () => {
    expect(told([])).toEqual([
      "X-Forwarded-For: 10.1.2.3",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: a.test:80",
      'Forwarded: for=10.1.2.3;host="a.test:80";proto=http',
      "Via: 1.1 edge",
      "X-Request-Id: 42",
    ]);
  });

  it("is what a trusted client says, with this hop behind it", () => {
    expect(told(claims)).toEqual([
      ...["X-Forwarded-Proto: https", "X-Forwarded-Host: b", "X-Forwarded-Port: 1"],
      ...["Forwarded: for=1.1.1.1", "Via: 1.1 other", "x-request-id: 7"],
      "X-Forwarded-For: 1.1.1.1, 10.1.2.3",
      'Forwarded: for=10.1.2.3;host="a.test:80";proto=http',
      "Via: 1.1 edge",
    ]);
  });

  it("is not what another client says", () => {
    expect(told(claims, { trusted: false })).toEqual(["Via: 1.1 other", ...told([])]);
  });

  it("is told by nothing where nothing is asked for, and the client's words pass", () => {
    const spec = { ...DEFAULT_ORIGIN, xForwarded: { for: false, proto: false, host: false } };
    expect(told([], { spec })).toEqual([]);
    expect(told(claims, { spec })).toEqual(claims);
  });

  it("quotes an IPv6 address, and calls a client without an address unknown", () => {
    expect(told([], { clientAddress: Buffer.from("2001:db8::1") })).toContain(
      'Forwarded: for="[2001:db8::1]";host="a.test:80";proto=http',
    );
    expect(told([], { clientAddress: undefined })).toContain('Forwarded: for=unknown;host="a.test:80";proto=http');
  });

  it("names a Host of up to 255 bytes", () => {
    const named = (length: number): number => {
      const host = "a".repeat(length);
      const sent = request(["GET / HTTP/1.1", `Host: ${host}`], { origin: { ...ORIGIN, spec: all, requestId: "42" } });
      return sent.split(host).length - 1;
    };
    expect(named(255)).toBe(3);
    expect(named(256)).toBe(1);
  });

  it.each([
    ["all", "203.0.113.1", true],
    [["10.0.0.0/8", "::1"], "10.9.9.9", true],
    [["10.0.0.0/8", "::1"], "11.0.0.1", false],
    [["10.0.0.0/8", "::1"], "::1", true],
    [["2001:db8::/32"], "2001:db8:1::1", true],
    [[], "127.0.0.1", false],
    [[], undefined, true],
  ] as const)("trusting %j, %s is believed: %s", (trusted, address, believed) => {
    expect(isTrusted({ ...DEFAULT_ORIGIN, trusted }, address)).toBe(believed);
  });
});

describe("a response", () => {
  it("loses hop-by-hop headers, in the proxy's own version", () => {
    expect(response(["HTTP/1.0 200 Fine", "Connection: close, X-A", "X-A: 1", "Keep-Alive: 5", "X-B: 2"])).toBe(
      "HTTP/1.1 200 Fine\r\nX-B: 2\r\n\r\n",
    );
  });

  it("gets the Connection it is given, and keeps Upgrade only with it", () => {
    const lines = ["HTTP/1.1 101 Switching", "Connection: upgrade", "Upgrade: websocket"];
    expect(response(lines, { connection: "upgrade" })).toBe(
      "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    );
    expect(response(["HTTP/1.1 200 OK", "Upgrade: h2"], { connection: "close" })).toBe(
      "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    );
  });

  it("loses the length that a 204 must not have, and the coding that is taken off", () => {
    expect(response(["HTTP/1.1 204 No", "Content-Length: 5"])).toBe("HTTP/1.1 204 No\r\n\r\n");
    expect(response(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], { dechunk: true })).toBe(
      "HTTP/1.1 200 OK\r\n\r\n",
    );
  });
});

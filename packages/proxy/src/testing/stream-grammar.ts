import type { Random } from "@smartstack/core";
import type { StreamMessage } from "./stream-model.ts";

/** A valid stream of pipelined messages, and the messages in it. */
export interface MadeStream {
  readonly text: string;
  readonly messages: readonly StreamMessage[];
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"];
const TARGETS = ["/", "/a/b?c=d", "/%2e%2e/%00", "//x", "http://a.test/p", "http://A.test?q", "/~!$&'()*+,;=:@[]|^`\\"];
const HEADERS = [
  "Accept: */*",
  "X-Empty:",
  "x-lower:v",
  "X-Blank: \t v w \t ",
  "X-Bytes: \x80\xff\t~",
  "Connection: keep-alive",
  "Connection: x-hop",
  "X-Hop: 1",
  "Keep-Alive: timeout=5",
  "TE: trailers",
  "Cookie: a=b; c=d",
  "X-Forwarded-For: 1.2.3.4",
  "Content-Type: text/plain",
  "!#$%&'*+-.^_`|~: token",
];
const TRAILERS = ["X-Sum: 1", "x-t:", "Server-Timing: a;dur=1"];
const EXTENSIONS = ["", "", "", ";a", ';a="b c"', ";a=b;c"];
/** What looks like the beginning or the end of a message makes the best body. */
const BODIES = [
  "",
  "a",
  "hello",
  "0\r\n\r\n",
  "\r\n",
  "GET /smug HTTP/1.1\r\nHost: b\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\n",
];
const STATUSES = ["200 OK", "404 Not Found", "500 ", "201 \x80\xff", "302 Found"];

/** Bytes that parsers have disagreed about, at the places where it matters. */
const BYTES = '\0\x01\x04\b\t\n\v\f\r\x1f "#(),:;=?@[]{}\x7f\x80\xa0\xff0159afxAFX+-_';
const WORDS = [
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Content-Length",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding",
  "chunked",
  "identity",
  "Host: b.test\r\n",
  "Connection: close\r\n",
  "Connection: Upgrade\r\nUpgrade: websocket\r\n",
  "Expect: 100-continue\r\n",
  "HTTP/1.0",
  "HTTP/1.1",
  "\r\n\r\n",
  "\r\n",
  "\n",
  "\r",
  "\r\n ",
  "0\r\n\r\n",
  "5\r\n",
  ";",
  ", ",
  "GET /smug HTTP/1.1\r\nHost: b.test\r\n\r\n",
];

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T;
}

function below(count: number, random: Random): number {
  return Math.floor(random() * count);
}

export function madeStream(kind: "requests" | "responses", random: Random): MadeStream {
  const messages: StreamMessage[] = [];
  let text = "";
  for (let left = 1 + below(3, random); left > 0; left--) {
    const body = pick(BODIES, random).repeat(1 + below(2, random));
    const line = kind === "requests" ? `${pick(METHODS, random)} ${pick(TARGETS, random)}` : pick(STATUSES, random);
    const lines = Array.from({ length: below(4, random) }, () => pick(HEADERS, random));
    const framed = framing(kind, body, random);
    lines.splice(below(lines.length + 1, random), 0, ...framed.lines);
    if (kind === "requests") lines.splice(below(lines.length + 1, random), 0, "Host: a.test");
    const start = kind === "requests" ? `${line} HTTP/1.1` : `HTTP/1.1 ${line}`;
    text += `${[start, ...lines].join("\r\n")}\r\n\r\n${framed.body}`;
    messages.push({ line: kind === "requests" ? line : line.slice(0, 3), body });
  }
  return { text, messages };
}

function framing(kind: string, body: string, random: Random): { readonly lines: string[]; readonly body: string } {
  if (body === "" && kind === "requests" && random() < 0.5) return { lines: [], body: "" };
  if (random() < 0.5) return { lines: [`Content-Length: ${body.length}`], body };
  let chunks = "";
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + below(20, random));
    const digits = random() < 0.2 ? size.toString(16).toUpperCase().padStart(4, "0") : size.toString(16);
    chunks += `${digits}${pick(EXTENSIONS, random)}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  const trailers = random() < 0.2 ? `${pick(TRAILERS, random)}\r\n` : "";
  const word = pick(["chunked", "Chunked", "CHUNKED"], random);
  return { lines: [`Transfer-Encoding: ${word}`], body: `${chunks}0${pick(EXTENSIONS, random)}\r\n${trailers}\r\n` };
}

/** A stream with a few faults in it. */
export function mutate(text: string, random: Random): Buffer {
  let out = text;
  for (let faults = 1 + below(3, random); faults > 0; faults--) {
    const at = below(out.length + 1, random);
    const to = at + below(3, random);
    const put = random() < 0.5 ? pick([...BYTES], random) : pick(WORDS, random);
    switch (below(5, random)) {
      case 0:
        out = out.slice(0, at) + put + out.slice(at);
        break;
      case 1:
        out = out.slice(0, at) + put + out.slice(to);
        break;
      case 2:
        out = out.slice(0, at) + out.slice(to);
        break;
      case 3:
        out = out.slice(0, at) + out.slice(at, at + below(40, random)) + out.slice(at);
        break;
      default:
        // A whole line twice, or away: what headers say must not depend on which of them is read.
        out = atLine(out, at, random() < 0.5);
    }
  }
  return Buffer.from(out, "latin1");
}

function atLine(text: string, near: number, twice: boolean): string {
  const start = text.lastIndexOf("\r\n", near) + 2;
  const end = text.indexOf("\r\n", start) + 2;
  if (start < 2 || end < start) return text;
  return text.slice(0, start) + (twice ? text.slice(start, end) : "") + text.slice(twice ? start : end);
}

/** The bytes in pieces, cut anywhere. */
export function randomPieces(bytes: Buffer, random: Random): Buffer[] {
  const pieces: Buffer[] = [];
  const longest = pick([1, 7, 40, 200, 200], random);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + below(longest, random);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

// Where each bound on what an end may send lies, to the byte: what is just within it passes, one more is refused.
import { expect, it } from "vitest";
import { BROKEN, beginBody, createBody, feedBody } from "./body.ts";
import { cannedResponse } from "./canned.ts";
import { CHUNKED, createHead, NO_BODY } from "./head.ts";
import { COMPLETE, NEED_MORE } from "./parse-fields.ts";
import { parseRequest } from "./parse-request.ts";
import { parseResponse } from "./parse-response.ts";

const KIB = 1024;

/** `before` and `after` with so many bytes between them that all are `length`. */
function filled(length: number, before: string, after: string): Buffer {
  return Buffer.from(before + "x".repeat(length - before.length - after.length) + after, "latin1");
}

const REQUEST = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
const ANSWER = "HTTP/1.1 200 OK\r\nX: ";

it.each([
  ["a request's head", 16 * KIB, COMPLETE, filled(16 * KIB, REQUEST, "\r\n\r\n")],
  ["a request's head and a byte", 16 * KIB, 431, filled(16 * KIB + 1, REQUEST, "\r\n\r\n")],
  ["a request line", 16 * KIB, COMPLETE, filled(16 * KIB, "GET /", " HTTP/1.1\r\nHost: a\r\n\r\n")],
  ["a request line and a byte", 16 * KIB, 431, filled(16 * KIB + 1, "GET /", " HTTP/1.1\r\nHost: a\r\n\r\n")],
  ["a request line without an end", 16 * KIB, 414, filled(16 * KIB, "GET /", "")],
] as const)("%s of %d bytes: %d", (_, max, verdict, bytes) => {
  const head = createHead();
  expect(parseRequest(bytes, 0, head)).toBe(verdict);
  // Not before it is known: all but the last byte within the bound may still become a good one.
  expect(parseRequest(bytes.subarray(0, max - 1), 0, head)).toBe(NEED_MORE);
});

it("an answer's head has 16 KiB", () => {
  const head = createHead();
  expect(parseResponse(filled(16 * KIB, ANSWER, "\r\n\r\n"), 0, head, false)).toBe(COMPLETE);
  const longer = filled(16 * KIB + 1, ANSWER, "\r\n\r\n");
  expect(parseResponse(longer, 0, head, false)).toBe(502);
  expect(parseResponse(longer.subarray(0, 16 * KIB - 1), 0, head, false)).toBe(NEED_MORE);
});

it("an answer has 100 header lines", () => {
  const lines = (count: number) => Buffer.from(`HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(count)}\r\n`);
  expect(parseResponse(lines(100), 0, createHead(), false)).toBe(COMPLETE);
  expect(parseResponse(lines(101), 0, createHead(), false)).toBe(502);
});

it.each([255, 256, 270, 4_096])("a name of %d bytes that begins as a length's is none", (length) => {
  const head = createHead();
  const bytes = filled(length, "Content-Length0", "").toString("latin1");
  expect(parseRequest(Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${bytes}: 5\r\n\r\n`), 0, head)).toBe(COMPLETE);
  expect(head.framing).toBe(NO_BODY);
});

it("a length has fifteen digits", () => {
  const parse = (digits: string) =>
    parseRequest(Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${digits}\r\n\r\n`), 0, createHead());
  expect(parse("9".repeat(15))).toBe(COMPLETE);
  expect(parse("1".repeat(16))).toBe(400);
});

/** What is wrong with a chunked body, in one piece and byte by byte; empty: nothing. */
function chunked(text: string): string {
  const bytes = Buffer.from(text, "latin1");
  const problems = [bytes.length, 1].map((size) => {
    const body = createBody();
    beginBody(body, CHUNKED, 0, false);
    for (let at = 0; at < bytes.length; at += size) {
      const end = feedBody(body, bytes.subarray(at, at + size), 0, () => undefined, undefined);
      if (end === BROKEN) return body.problem;
    }
    return body.done ? "" : "not done";
  });
  expect(problems[0]).toBe(problems[1]);
  return problems[0] as string;
}

it("a chunk's size has thirteen digits", () => {
  expect(chunked(`${"0".repeat(12)}2\r\nhi\r\n0\r\n\r\n`)).toBe("");
  expect(chunked(`${"0".repeat(13)}2\r\nhi\r\n0\r\n\r\n`)).toBe("malformed chunk size");
});

it("all extensions of a body have 4 KiB", () => {
  const body = (first: number, second: number) =>
    `2;${"x".repeat(first)}\r\nhi\r\n2;${"x".repeat(second)}\r\nhi\r\n0\r\n\r\n`;
  expect(chunked(body(4 * KIB - 1, 1))).toBe("");
  expect(chunked(body(4 * KIB - 1, 2))).toBe("chunk extensions too long");
});

it("trailers have 4 KiB", () => {
  const trailers = (length: number) => `0\r\nX: ${"x".repeat(length - "X: \r\n\r\n".length)}\r\n\r\n`;
  expect(chunked(trailers(4 * KIB))).toBe("");
  expect(chunked(trailers(4 * KIB + 1))).toBe("trailers too long");
});

it("a reason has 200 characters, all of which can stand in a header", () => {
  const answer = (reason: string) => cannedResponse({ status: 502, reason, close: true, headOnly: false }).toString();
  expect(answer(`${"x".repeat(200)}y`)).toContain(`X-Smartstack-Reason: ${"x".repeat(200)}\r\n`);
  expect(answer("a\r\nSet-Cookie: b\u00e9\0")).toContain("X-Smartstack-Reason: a??Set-Cookie: b??\r\n");
});

import { expect, test } from "vitest";
import { lineFramer } from "./ndjson.ts";

const LINES = ['{"name":"größe","mark":"€"}', '{"a":1}', "{}"];
const BYTES = Buffer.from(`${LINES[0]}\n${LINES[1]}\r\n\n${LINES[2]}\n`);

test("the same lines, wherever the stream is cut", () => {
  for (let first = 0; first <= BYTES.length; first++) {
    for (let second = first; second <= BYTES.length; second++) {
      const framer = lineFramer();
      const parts = [BYTES.subarray(0, first), BYTES.subarray(first, second), BYTES.subarray(second)];
      expect(parts.flatMap((part) => framer.push(part))).toEqual(LINES);
    }
  }
});

test("what has no end yet is kept back", () => {
  const framer = lineFramer();
  expect(framer.push(Buffer.from('{"a"'))).toEqual([]);
  expect(framer.push(Buffer.from(":1}"))).toEqual([]);
  expect(framer.push(Buffer.from("\n"))).toEqual(['{"a":1}']);
});

test("a line without end is no stream of events", () => {
  const framer = lineFramer(100);
  expect(framer.push(Buffer.alloc(100, "x"))).toEqual([]);
  expect(() => framer.push(Buffer.from("x"))).toThrow(RangeError);
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { messages } from "./messages.ts";

function framed(text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length);
  return Buffer.concat([length, body]);
}

function read(chunks: readonly Buffer[]): string[] {
  const got: string[] = [];
  const feed = messages((message) => got.push(message.subarray(4).toString()));
  for (const chunk of chunks) feed(chunk);
  return got;
}

describe("messages", () => {
  it("come out whole and in order, however the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 40 })), fc.array(fc.nat(500)), (texts, cuts) => {
        const stream = Buffer.concat(texts.map(framed));
        const at = [0, ...cuts.filter((cut) => cut <= stream.length).sort((a, b) => a - b), stream.length];
        const chunks = at.slice(1).map((end, index) => stream.subarray(at[index], end));
        expect(read(chunks)).toEqual(texts);
      }),
    );
  });

  it("take a hundred thousand in one piece", () => {
    const stream = Buffer.concat(Array.from({ length: 100_000 }, () => framed("x")));
    expect(read([stream])).toHaveLength(100_000);
  });

  it("refuse a length that cannot be one", () => {
    expect(() => read([Buffer.from("HTTP/1.1 400 Bad Request")])).toThrow("a message of 1213486160 bytes");
    expect(() => read([Buffer.from([255, 255, 255, 255])])).toThrow("a message of -1 bytes");
  });
});

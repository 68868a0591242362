import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BROKEN, beginBody, createBody, feedBody } from "./body.ts";
import { BY_LENGTH, CHUNKED, NO_BODY, UNTIL_CLOSE } from "./head.ts";

interface Fed {
  readonly out: string;
  /** Bytes of the input that belong to the body; BROKEN if its framing is. */
  readonly end: number;
  readonly done: boolean;
  readonly problem: string;
}

function feed(pieces: readonly string[], framing: number, length = 0, decode = false): Fed {
  const body = createBody();
  beginBody(body, framing, length, decode);
  let out = "";
  let before = 0;
  for (const piece of pieces) {
    const bytes = Buffer.from(piece, "latin1");
    const end = feedBody(
      body,
      bytes,
      0,
      (_, all, from, to) => {
        out += all.toString("latin1", from, to);
      },
      undefined,
    );
    if (end === BROKEN) return { out, end, done: false, problem: body.problem };
    if (body.done) return { out, end: before + end, done: true, problem: "" };
    expect(end).toBe(bytes.length);
    before += bytes.length;
  }
  return { out, end: before, done: false, problem: "" };
}

describe("framing", () => {
  it("by length ends at the length", () => {
    expect(feed(["hel", "loNEXT"], BY_LENGTH, 5)).toMatchObject({ out: "hello", end: 5, done: true });
    expect(feed([], BY_LENGTH, 0).out).toBe("");
    const empty = createBody();
    beginBody(empty, BY_LENGTH, 0, false);
    expect(empty.done).toBe(true);
    beginBody(empty, NO_BODY, 7, false);
    expect(empty.done).toBe(true);
  });

  it("until close never ends by itself", () => {
    expect(feed(["a", "b"], UNTIL_CLOSE)).toMatchObject({ out: "ab", done: false });
  });
});

const CHUNKS = "4\r\nWiki\r\n5\r\npedia\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";

describe("chunked", () => {
  it("passes its framing on, or takes it off", () => {
    expect(feed([`${CHUNKS}NEXT`], CHUNKED)).toMatchObject({ out: CHUNKS, end: CHUNKS.length, done: true });
    expect(feed([CHUNKS], CHUNKED, 0, true).out).toBe("Wikipediaabcdefghijklmnopqrstuvwxyz");
  });

  it("drops extensions and keeps allowed trailers", () => {
    const sent = "2;a=b;c\r\nhi\r\n0;x\r\nX-Sum: 1\r\n\r\n";
    expect(feed([sent], CHUNKED)).toMatchObject({
      out: "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
      end: sent.length,
      done: true,
    });
    expect(feed([sent], CHUNKED, 0, true).out).toBe("hi");
  });

  it("says the same however it is cut", () => {
    const sent = '2;a=b\r\nhi\r\n003;q="\\" ;";c\r\nfoo\r\n0;x\r\nX-Sum: 1\r\nY: 2\r\n\r\n';
    const whole = feed([`${sent}NEXT`], CHUNKED);
    for (let cut = 1; cut < sent.length; cut++) {
      expect(feed([sent.slice(0, cut), `${sent.slice(cut)}NEXT`], CHUNKED)).toEqual(whole);
    }
    expect(feed([...sent], CHUNKED)).toEqual(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(sent.length)), (cuts) => {
        const points = [0, ...cuts.sort((a, b) => a - b), sent.length];
        const pieces = points.slice(1).map((to, n) => sent.slice(points[n], to));
        expect(feed(pieces, CHUNKED)).toEqual(whole);
      }),
    );
  });

  const long = "x".repeat(20_000);
  it.each([
    ["0x5⏎hello⏎", "0x5\r\nhello\r\n"],
    ["+5⏎hello⏎", "+5\r\nhello\r\n"],
    ["-1⏎", "-1\r\n"],
    ["5_0⏎", "5_0\r\n"],
    ["⏎", "\r\n"],
    [";x⏎", ";x\r\n"],
    [" 5⏎hello⏎", " 5\r\nhello\r\n"],
    ["10000000000000005⏎", "10000000000000005\r\n"],
    ["5 ⏎hello⏎", "5 \r\nhello\r\n"],
    ["2;/nxx⏎", "2;\nxx\r\n"],
    ["5/nhello", "5\nhello"],
    ["5/rhello", "5\rhello"],
    ["5⏎helloXX0⏎⏎", "5\r\nhelloXX0\r\n\r\n"],
    ["5⏎hello/n0⏎⏎", "5\r\nhello\n0\r\n\r\n"],
    ["5/r/r;ABCD⏎hello⏎", "5\r\r;ABCD\r\nhello\r\n"],
    ["2;a/0b⏎hi⏎", "2;a\0b\r\nhi\r\n"],
    ["2;⏎", "2;\r\nhi\r\n"],
    ["2;;a⏎", "2;;a\r\nhi\r\n"],
    ["2; a⏎", "2; a\r\nhi\r\n"],
    ["2;a=⏎", "2;a=\r\nhi\r\n"],
    ["2;a b⏎", "2;a b\r\nhi\r\n"],
    ['2;a="b⏎', '2;a="b\r\nhi\r\n'],
    ['2;a="b"c⏎', '2;a="b"c\r\nhi\r\n'],
    ['2;a="/0"⏎', '2;a="\\\0"\r\nhi\r\n'],
    ["one long extension", `2;${"x".repeat(5_000)}\r\nhi\r\n`],
    ["many extensions", `${"2;xxxxxxxx\r\nhi\r\n".repeat(600)}`],
    ["0⏎Content-Length: 50⏎⏎", "0\r\nContent-Length: 50\r\n\r\n"],
    ["0⏎Transfer-Encoding: chunked⏎⏎", "0\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["0⏎Host: b⏎⏎", "0\r\nHost: b\r\n\r\n"],
    ["0⏎X-Forwarded-For: 1⏎⏎", "0\r\nX-Forwarded-For: 1\r\n\r\n"],
    ["0⏎Authorization: x⏎⏎", "0\r\nAuthorization: x\r\n\r\n"],
    ["0⏎Cookie: x⏎⏎", "0\r\nCookie: x\r\n\r\n"],
    ["0⏎X : y⏎⏎", "0\r\nX : y\r\n\r\n"],
    ["0⏎: y⏎⏎", "0\r\n: y\r\n\r\n"],
    ["0⏎X: y/n⏎", "0\r\nX: y\n\r\n"],
    ["long trailers", `0\r\nX: ${long}`],
  ])("refuses %s, in one piece and byte by byte", (_, sent) => {
    expect(feed([sent], CHUNKED).end).toBe(BROKEN);
    expect(feed([...sent], CHUNKED).end).toBe(BROKEN);
    // What ends the message must not have been sent on: the backend must never take it for whole.
    expect(feed([sent], CHUNKED).out).not.toMatch(/(^|\n)0+\r\n.*\r\n\r\n/s);
  });
});

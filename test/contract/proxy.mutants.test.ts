// Bugs planted in the parser: the fuzzer must find each of them, or its silence means nothing.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fuzz, PROXY_DIST } from "../support/fuzz.ts";

/** Within which the fuzzer has to find one. */
const FIND_MS = 60_000;

/** A file of the built parser, what stands there, and what a mistake would make of it. */
const MUTANTS: readonly (readonly [what: string, file: string, right: string, wrong: string])[] = [
  ["a second Content-Length wins", "http/meaning.js", "++found.lengths > 1", "++found.lengths > 2"],
  [
    "length and chunked together",
    "http/meaning.js",
    "if (found.lengths > 0)\n            return",
    "if (false)\n            return",
  ],
  [
    "a bare LF behind a chunk's size",
    "http/body.js",
    'if (byte !== LF)\n                return broken(body, "chunk size',
    'if (false)\n                return broken(body, "chunk size',
  ],
  [
    "a blank before the colon",
    "http/parse-fields.js",
    "pos = scanToken(bytes, words, offset, pos, end);",
    "pos = scanToken(bytes, words, offset, pos, end); while (pos > name && bytes[pos] === SP) pos++;",
  ],
  ["the end of trailers in two pieces", "http/body.js", "body.trailer?.length ?? 0", "0"],
  [
    "a bare CR in a value",
    "http/parse-fields.js",
    'if (bytes[pos + 1] !== LF)\n            return refuse(head, 400, "CR without LF");\n        let',
    "let",
  ],
  [
    "a chunk's digits counted through the message",
    "http/body.js",
    "body.digits = 0;\n            body.state = body.remaining",
    "body.state = body.remaining",
  ],
];

test.each(MUTANTS)(
  "%s is found",
  async (_, file, right, wrong) => {
    const folder = mkdtempSync(path.join(tmpdir(), "smartstack-mutant-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(PROXY_DIST, folder, { recursive: true });
    writeFileSync(path.join(folder, "package.json"), '{"type":"module"}');
    const source = readFileSync(path.join(folder, file), "utf8");
    expect(source.split(right).length, `${file} as it is built`).toBe(2);
    writeFileSync(path.join(folder, file), source.replace(right, wrong));
    const { finding } = await fuzz(folder, 1, FIND_MS);
    expect(finding?.what).toBeTypeOf("string");
  },
  FIND_MS + 60_000,
);

import { describe, expect, it } from "vitest";
import { NO_HASH } from "./balance/balance.ts";
import { avalanche, hashText } from "./balance/hash.ts";
import { createHead } from "./http/head.ts";
import { COMPLETE } from "./http/parse-fields.ts";
import { parseRequest } from "./http/parse-request.ts";
import { requestHash } from "./http/request-hash.ts";
import { sourceHash } from "./request-hash.ts";
import { type BalanceName, DEFAULT_HASH, type HashSpec } from "./snapshot.ts";
import { serviceSpec } from "./testing/bench.ts";

function hashOf(balance: BalanceName, hash: Partial<HashSpec>, target: string, ...lines: string[]): number {
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`);
  const head = createHead();
  expect(parseRequest(bytes, 0, head)).toBe(COMPLETE);
  return requestHash(serviceSpec({ balance, hash: { ...DEFAULT_HASH, ...hash } }), bytes, head);
}

describe("uri", () => {
  it("is the target up to the query", () => {
    expect(hashOf("uri", {}, "/a/b?c=d")).toBe(hashText("/a/b"));
    expect(hashOf("uri", { whole: true }, "/a/b?c=d")).toBe(hashText("/a/b?c=d"));
  });
});

describe("header", () => {
  const user = { name: "x-user" };
  it("is the first element of the first line", () => {
    expect(hashOf("header", user, "/", "X-User: ann , bob", "x-user: eve")).toBe(hashText("ann"));
    expect(hashOf("header", user, "/", "X-USER:ann")).toBe(hashText("ann"));
  });

  it("may be missing", () => {
    expect(hashOf("header", user, "/", "X-Users: ann")).toBe(NO_HASH);
    expect(hashOf("header", user, "/", "X-User: ")).toBe(NO_HASH);
  });
});

describe("cookie", () => {
  const sid = { name: "sid" };
  it.each(["sid=abc", "a=b; sid=abc", "a; sid=abc; sid=no", "sid2=x;sid=abc;b=c", "  x=sid=1;  sid=abc  ;"])(
    "in %j",
    (value) => {
      expect(hashOf("cookie", sid, "/", `Cookie: ${value}`)).toBe(hashText("abc"));
    },
  );

  it("on a second line", () =>
    expect(hashOf("cookie", sid, "/", "Cookie: a=b", "cookie: sid=abc")).toBe(hashText("abc")));

  it.each(["SID=abc", "xsid=abc", "sid", "sid=", "sid2=abc", ""])("not in %j", (value) => {
    expect(hashOf("cookie", sid, "/", `Cookie: ${value}`)).toBe(NO_HASH);
  });
});

describe("source", () => {
  it("is made of the address alone", () => {
    expect(sourceHash("10.1.2.3")).toBe(avalanche(0x0a010203));
    expect(sourceHash("::ffff:10.1.2.3")).toBe(sourceHash("10.1.2.3"));
    expect(sourceHash("2001:db8::1")).toBe(avalanche(0x20010db8 ^ 1));
    expect(sourceHash(undefined)).toBe(NO_HASH);
  });
});

it("nothing is hashed for the others", () => expect(hashOf("least_conn", {}, "/a")).toBe(NO_HASH));

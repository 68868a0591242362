import { describe, expect, it } from "vitest";
import { type Caller, changeRefusal, hostProblem } from "./guard.ts";

function tcp(more: Partial<Caller> = {}): Caller {
  return { viaUnixSocket: false, localAddress: "127.0.0.1", host: undefined, authorization: undefined, ...more };
}

describe("hostProblem", () => {
  it.each(["localhost", "localhost:3210", "LOCALHOST:1", "127.0.0.1:3210", "[::1]:3210"])("lets %s in", (host) => {
    expect(hostProblem(tcp({ host }), "127.0.0.1")).toBeUndefined();
  });

  it.each(["evil.example", "127.0.0.1.evil.example:3210", "localhost.evil", "", "[::1", "10.0.0.7:3210", undefined])(
    "refuses %s",
    (host) => {
      expect(hostProblem(tcp({ host }), "127.0.0.1")).toContain("is not this API's address");
    },
  );

  it("lets in the address that the client connected to, also mapped into IPv6", () => {
    expect(hostProblem(tcp({ host: "10.0.0.7:3210", localAddress: "::ffff:10.0.0.7" }), "::")).toBeUndefined();
    expect(hostProblem(tcp({ host: "[fd00::7]:3210", localAddress: "fd00::7" }), "::")).toBeUndefined();
  });

  it("does not ask on a unix socket", () => {
    expect(hostProblem(tcp({ viaUnixSocket: true, host: "whatever" }), undefined)).toBeUndefined();
  });
});

describe("changeRefusal", () => {
  it.each([
    ["no token configured", tcp({ authorization: "Bearer x" }), undefined, 403],
    ["an empty token configured", tcp({ authorization: "Bearer x" }), "", 403],
    ["no header", tcp(), "secret", 401],
    ["another scheme", tcp({ authorization: "Basic secret" }), "secret", 401],
    ["a wrong token", tcp({ authorization: "Bearer secre" }), "secret", 403],
    ["the token", tcp({ authorization: "Bearer secret" }), "secret", undefined],
    ["the token, in another case of the scheme", tcp({ authorization: "bearer secret" }), "secret", undefined],
    ["a unix socket", tcp({ viaUnixSocket: true }), undefined, undefined],
  ])("%s", (_, caller, token, status) => {
    expect(changeRefusal(caller, token)?.status).toBe(status);
  });
});

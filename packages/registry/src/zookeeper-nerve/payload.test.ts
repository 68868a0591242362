import { decodeInstance } from "@smartstack/core";
import { describe, expect, it } from "vitest";
import { fromServerSet, idOf, nodeNameOf, payloadIn, payloadOf } from "./payload.ts";

const PAYLOAD = '{"host":"1.2.3.4","port":3000,"name":"mymachine"}';

describe("nerve's payload", () => {
  it("is nerve's, key by key, and nothing of ours", () => {
    const ours = { id: "node-3000", node: "node", boot: "b", since: 1, listen: 80, mode: "http", zone: "z" } as const;
    expect(payloadOf({ host: "1.2.3.4", port: 3000, ...ours }, "mymachine")).toBe(PAYLOAD);
    const full = { weight: 2, haproxyServerOptions: "backup", labels: { b: "2", a: "1" } };
    expect(payloadOf({ host: "h", port: 1, name: "other", ...full, ...ours }, "mymachine")).toBe(
      '{"host":"h","port":1,"name":"other","weight":2,"haproxy_server_options":"backup","labels":{"b":"2","a":"1"}}',
    );
  });

  it("says weight 0 for what takes nothing new", () => {
    expect(payloadOf({ host: "h", port: 1, weight: 5, state: "draining" }, "i")).toContain('"weight":0');
  });

  it("makes names as nerve's, plain or with all of it in urlsafe base64 with padding", () => {
    expect(nodeNameOf(PAYLOAD, "mymachine", false)).toBe("mymachine_");
    const encoded = nodeNameOf(PAYLOAD, "mymachine", true);
    expect(encoded).toBe("base64_68_eyJob3N0IjoiMS4yLjMuNCIsInBvcnQiOjMwMDAsIm5hbWUiOiJteW1hY2hpbmUifQ==_");
    expect(payloadIn(`${encoded}0000000003`)).toBe(PAYLOAD);
    const urlsafe = JSON.stringify({ host: "h", port: 1, name: "???>>>~~~" });
    expect(nodeNameOf(urlsafe, "i", true)).toMatch(/^base64_\d+_[A-Za-z0-9_-]+=*_$/);
    expect(payloadIn(nodeNameOf(urlsafe, "i", true))).toBe(urlsafe);
    expect(nodeNameOf("x".repeat(50_000), "mymachine", true)).toBe("mymachine_");
  });

  it("is not seen in a name that carries none", () => {
    for (const name of ["mymachine_0000000001", "base64_999_eyJ9_1", "base64_4_AAAA_1", "base64__eyJ9_"])
      expect(payloadIn(name)).toBeUndefined();
  });

  it("gives every node an id that can be one", () => {
    expect(idOf("mymachine_0000000003")).toBe("mymachine_0000000003");
    expect(idOf(`${nodeNameOf(PAYLOAD, "mymachine", true)}0000000003`)).toMatch(/^[0-9a-f]{24}$/);
  });
});

describe("a server set", () => {
  const member = JSON.stringify({
    serviceEndpoint: { host: "10.0.0.1", port: 31_000 },
    additionalEndpoints: { admin: { host: "10.0.0.1", port: 31_001 } },
    shard: 7,
    status: "ALIVE",
  });

  it("gives its endpoint, or the one that is named, under its shard's number", () => {
    expect(decodeInstance(fromServerSet(member, undefined))).toEqual({ host: "10.0.0.1", port: 31_000, name: "7" });
    expect(decodeInstance(fromServerSet(member, "admin"))).toMatchObject({ port: 31_001 });
  });

  it("is left as it is when it has no such endpoint, or is none", () => {
    expect(fromServerSet(member, "thrift")).toBe(member);
    expect(fromServerSet("torn", undefined)).toBe("torn");
    expect(fromServerSet("null", undefined)).toBe("null");
  });
});

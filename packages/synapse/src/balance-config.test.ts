import { loadConfig } from "@smartstack/core";
import { DEFAULT_HASH } from "@smartstack/proxy";
import { describe, expect, it } from "vitest";
import { sharingOf, subsetOf } from "./balance-config.ts";
import { type SynapseConfig, synapseConfig } from "./config.ts";

function proxy(body: string): SynapseConfig["services"][string]["proxy"] {
  const source = { file: "synapse.yaml", text: `services: {web: {proxy: ${body}}}`, env: {} };
  const { services } = loadConfig(source, synapseConfig).value as SynapseConfig;
  return (services.web as SynapseConfig["services"][string]).proxy;
}

describe("balance", () => {
  it.each([
    ["ewma", { algorithm: "ewma" }],
    ["leastconn", { algorithm: "least_conn" }],
    ["roundrobin", { algorithm: "round_robin" }],
    ["source", { algorithm: "source", hash: DEFAULT_HASH }],
    ["hdr(X-User)", { algorithm: "header", hash: { ...DEFAULT_HASH, name: "x-user" } }],
    ["{header: X-User}", { algorithm: "header", hash: { ...DEFAULT_HASH, name: "x-user" } }],
    [
      "{cookie: Session, load_factor: 125}",
      { algorithm: "cookie", hash: { ...DEFAULT_HASH, name: "Session", loadFactor: 125 } },
    ],
    ["{by: uri, whole: yes, points: 16}", { algorithm: "uri", hash: { ...DEFAULT_HASH, whole: true, points: 16 } }],
    ["{by: first}", { algorithm: "first" }],
  ])("%s", (text, expected) => expect(proxy(`{balance: ${text}}`).balance).toEqual(expected));

  it.each([
    ["fastest", /expected .*least_conn.*X-User/],
    ["header", /by name: \{header: X-User\}/],
    ["{header: X-User, cookie: a}", /one of by, header and cookie/],
    ["{load_factor: 125}", /one of by, header and cookie/],
    ["{by: random, load_factor: 125}", /random does not hash/],
    ["{by: source, load_factor: 90}", /101/],
    ["{header: X-User, whole: yes}", /goes with by: uri/],
    ["{by: urj}", /uri/],
    ["hdr()", /expected/],
  ])("refuses %s", (text, message) => expect(() => proxy(`{balance: ${text}}`)).toThrow(message));

  it("refuses in tcp what only requests have", () => {
    expect(() => proxy("{mode: tcp, balance: uri}")).toThrow(/needs mode http/);
    expect(proxy("{mode: tcp, balance: source}").balance.algorithm).toBe("source");
  });
});

describe("shares", () => {
  it("come from subsets, zone, backups and slow start", () => {
    const text = "{slow_start: 30s, backups: all, subsets: {canary: {labels: {version: v2}, share: 5%}}}";
    const settings = proxy(text);
    expect(sharingOf(settings, "eu-1")).toEqual({
      zone: "eu-1",
      backups: "all",
      subsets: [{ name: "canary", share: 5 }],
      slowStartMs: 30_000,
      panicPercent: 0,
    });
    expect(subsetOf({ version: "v2", more: "x" }, settings.subsets)).toBe("canary");
    expect(subsetOf({ version: "v1" }, settings.subsets)).toBeUndefined();
    expect(subsetOf(undefined, settings.subsets)).toBeUndefined();
  });

  it("leave the zone out where it shall not matter", () => {
    expect(sharingOf(proxy("{zone_first: no}"), "eu-1").zone).toBeUndefined();
    expect(sharingOf(proxy("{}"), undefined).zone).toBeUndefined();
  });

  it.each([
    ["{a: {labels: {v: '1'}, share: 60}, b: {labels: {v: '2'}, share: 50}}", /above 100/],
    ["{a: {labels: {}, share: 5}}", /expected a label/],
    ["{a: {labels: {v: '1'}, share: 101}}", /100/],
  ])("refuse %s", (text, message) => expect(() => proxy(`{subsets: ${text}}`)).toThrow(message));
});

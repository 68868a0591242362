// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax under test
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { isStackError } from "../errors.ts";
import { loadConfig } from "./load.ts";
import { duration, port } from "./units.ts";

function load<T>(text: string, schema: z.ZodType<T>, env: Record<string, string> = {}) {
  return loadConfig({ file: "f.yaml", text, env }, schema);
}

function faults(text: string, schema: z.ZodType, env: Record<string, string> = {}): string[] {
  try {
    load(text, schema, env);
  } catch (error) {
    if (!isStackError(error)) throw error;
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.retry).toBe("never");
    return error.message.split("\n");
  }
  throw new Error("was accepted");
}

const anything = z.looseObject({});

describe("what YAML 1.1 and JSON say", () => {
  it("reads JSON with tabs and trailing commas", () => {
    expect(load('{\n\t"a": 1,\n\t"b": [1, 2,],\n}', anything).value).toEqual({ a: 1, b: [1, 2] });
  });

  it("reads an empty file, and one of comments only, as nothing set", () => {
    expect(load("", z.strictObject({ a: z.int().default(1) })).value).toEqual({ a: 1 });
    expect(load("# nothing\n", anything).value).toEqual({});
  });

  it("reads anchors and merge keys", () => {
    const { value } = load("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  x: 3\nd: *b", anything);
    expect(value).toEqual({ base: { x: 1, y: 2 }, c: { x: 3, y: 2 }, d: { x: 1, y: 2 } });
  });

  it("keeps keys as they are written, though YAML 1.1 sees booleans and numbers", () => {
    const { value } = load("on: 1\ny: 2\nno: 3\n010: 4\n8080: 5\n1:30: 6\n2020-01-01: 7", anything);
    expect(value).toEqual({ on: 1, y: 2, no: 3, "010": 4, "8080": 5, "1:30": 6, "2020-01-01": 7 });
  });

  it("refuses a key that is written twice, at its second place", () => {
    expect(faults("a: 1\nb: 2\na: 3", anything)).toEqual([expect.stringMatching(/^f\.yaml:3:1: .*unique/)]);
  });

  it.each([
    ["a: [1", /^f\.yaml:1:\d+: /],
    ["a:\n\tb: 1", /^f\.yaml:2:1: Tabs/],
    ["a: *nope", /^f\.yaml:1:\d+: .*nope/],
    ["---\na: 1\n---\nb: 1", /^f\.yaml:3:1: .*multiple documents/],
  ])("reports %j with its position", (text, message) => {
    expect(faults(text, anything)[0]).toMatch(message);
  });

  it("does not let aliases blow a small file up", () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i}: &l${i} [${`*l${i - 1}, `.repeat(i === 0 ? 0 : 9)}1]`);
    expect(faults(levels.join("\n"), anything)[0]).toMatch(/alias/i);
  });

  it("refuses a file that is no mapping", () => {
    expect(faults("just text", z.strictObject({}))).toEqual([
      'f.yaml:1:1: expected a mapping (key: value), got "just text"',
    ]);
  });
});

describe("scalars where another type is asked for", () => {
  it.each([
    ["zone: no", "no"],
    ["zone: on", "on"],
    ["zone: 010", "010"],
    ["zone: 1e3", "1e3"],
    ["zone: 22:22", "22:22"],
    ["zone: 2020-01-01", "2020-01-01"],
    ["zone: 0x1F", "0x1F"],
  ])("takes %s as it was written", (text, expected) => {
    expect(load(text, z.strictObject({ zone: z.string() })).value).toEqual({ zone: expected });
  });

  it("does so inside records, lists, unions, enums, aliases and merge keys", () => {
    const schema = z.strictObject({
      labels: z.record(z.string(), z.string()),
      list: z.array(z.string()),
      discover: z.union([z.literal("off"), z.array(z.string())]),
      when: z.enum(["always", "off"]),
      base: z.strictObject({ zone: z.string() }),
      merged: z.strictObject({ zone: z.string(), n: z.int() }),
      same: z.strictObject({ zone: z.string() }),
    });
    const text = `
labels: {a: yes, b: 1}
list: [no, 2]
discover: off
when: off
base: &b {zone: no}
merged: {<<: *b, n: 1}
same: *b`;
    expect(load(text, schema).value).toEqual({
      labels: { a: "yes", b: "1" },
      list: ["no", "2"],
      discover: "off",
      when: "off",
      base: { zone: "no" },
      merged: { zone: "no", n: 1 },
      same: { zone: "no" },
    });
  });

  it("never makes a number of a quoted string", () => {
    expect(faults('port: "80"', z.strictObject({ port }))).toEqual(['f.yaml:1:1: port: expected a number, got "80"']);
  });

  it("counts a key with nothing behind it as absent", () => {
    const schema = z.strictObject({ a: z.strictObject({ b: z.int().optional() }).optional(), n: z.int().nullable() });
    expect(load("a:\nn:", schema).value).toEqual({ n: null });
    expect(load("a:\n  b:\nn: 1", schema).value).toEqual({ a: {}, n: 1 });
    expect(faults("x:", z.strictObject({ x: z.string() }))).toEqual(["f.yaml:1:1: x: missing, expected a string"]);
  });
});

describe("substitution", () => {
  const schema = z.strictObject({
    port: port.optional(),
    on: z.boolean().optional(),
    time: duration().optional(),
    name: z.string().optional(),
    mode: z.enum(["tcp", "http"]).optional(),
    either: z.union([z.literal("auto"), z.int()]).optional(),
  });

  it("gives numbers, booleans and times where they are asked for", () => {
    const env = { PORT: "8080", ON: "yes", T: "2", N: "123", M: "http" };
    const text = "port: ${PORT}\non: ${ON}\ntime: ${T}\nname: ${N}\nmode: ${M}\neither: ${PORT}";
    expect(load(text, schema, env).value).toEqual({
      port: 8080,
      on: true,
      time: 2_000,
      name: "123",
      mode: "http",
      either: 8080,
    });
  });

  it("does not change keys or comments", () => {
    expect(load("${A}: 1 # ${B}", anything).value).toEqual({ "${A}": 1 });
  });

  it("reports every unset variable with its position", () => {
    expect(faults("a: ${A}\nb:\n  - x\n  - ${B}", anything)).toEqual([
      "f.yaml:1:4: environment variable A is not set and has no default",
      "f.yaml:4:5: environment variable B is not set and has no default",
    ]);
  });

  it("cannot bring structure in", () => {
    expect(load("name: ${X}", schema, { X: "a: [b" }).value).toEqual({ name: "a: [b" });
  });
});

describe("unknown keys", () => {
  const schema = z.strictObject({
    registry: z
      .discriminatedUnion("type", [
        z.strictObject({ type: z.literal("memory") }),
        z.strictObject({ type: z.literal("etcd"), hosts: z.array(z.string()), ttl: duration().default(10_000) }),
      ])
      .default({ type: "memory" }),
    docker: z.union([z.literal(false), z.strictObject({ advertise: z.string().optional() })]).optional(),
    services: z
      .record(z.string(), z.strictObject({ proxy: z.strictObject({ listen: z.array(z.string()) }).optional() }))
      .default({}),
    checks: z.array(z.strictObject({ interval: duration() })).optional(),
  });

  it("warns once each, with position and what was meant, at any depth", () => {
    const text = `
registery: 1
registry: {type: etcd, hosts: [a], tll: 3}
docker: {advertize: x}
services:
  web:
    proxy:
      lisen: [a]
      listen: [b]
checks:
  - {interval: 1, intervall: 2}
zzz: 1`;
    const { value, warnings } = load(text, schema);
    expect(warnings).toEqual([
      "f.yaml:2:1: unknown key registery, did you mean registry?",
      "f.yaml:3:36: unknown key tll in registry, did you mean ttl?",
      "f.yaml:4:10: unknown key advertize in docker, did you mean advertise?",
      "f.yaml:8:7: unknown key lisen in services.web.proxy, did you mean listen?",
      "f.yaml:11:19: unknown key intervall in checks.0, did you mean interval?",
      "f.yaml:12:1: unknown key zzz",
    ]);
    expect(value.registry).toEqual({ type: "etcd", hosts: ["a"], ttl: 10_000 });
    expect(value.services.web?.proxy?.listen).toEqual(["b"]);
  });

  it("are dropped in one place only, though the file shares the value with another by an alias", () => {
    const shared = z.strictObject({ a: z.strictObject({ x: z.int() }), b: z.strictObject({ x: z.int(), y: z.int() }) });
    expect(load("a: &v {x: 1, y: 2}\nb: *v", shared).value).toEqual({ a: { x: 1 }, b: { x: 1, y: 2 } });
  });

  it("tells them beside the errors they cause", () => {
    expect(faults("registry: {type: etcd, host: [a]}", schema)).toEqual([
      "f.yaml:1:1: registry.hosts: missing, expected a list",
      "warning: f.yaml:1:24: unknown key host in registry, did you mean hosts?",
    ]);
  });

  it("keeps what one alternative of a union needs, though another would drop it", () => {
    const either = z.strictObject({
      x: z.union([z.strictObject({ a: z.string() }), z.strictObject({ b: z.int(), c: z.int() })]),
    });
    const wider = z.strictObject({
      x: z.union([z.strictObject({ a: z.int() }), z.strictObject({ a: z.int(), b: z.int() })]),
    });
    expect(load("x: {a: 1, b: 2, c: 3}", wider).value).toEqual({ x: { a: 1, b: 2 } });
    expect(load("x: {b: 1, c: 2, d: 3}", either).value).toEqual({ x: { b: 1, c: 2 } });
    expect(faults("x: {b: 1}", either)).toEqual(["f.yaml:1:1: x.c: missing, expected a number"]);
  });
});

describe("errors", () => {
  it("come all at once, each with its place and what was expected", () => {
    const schema = z.strictObject({
      type: z.enum(["etcd", "zookeeper"]),
      port,
      ttl: duration({ minMs: 3_000 }),
      hosts: z.array(z.string()),
      name: z.string(),
    });
    expect(faults("type: zookeper\nport: 70000\nttl: 1s\nhosts: a\n", schema)).toEqual([
      "f.yaml:1:1: name: missing, expected a string",
      'f.yaml:1:1: type: expected one of etcd, zookeeper, got "zookeper", did you mean zookeeper?',
      "f.yaml:2:1: port: Too big: expected number to be <=65535, got 70000",
      'f.yaml:3:1: ttl: expected a time from 3s to 366d, got "1s"',
      'f.yaml:4:1: hosts: expected a list, got "a"',
    ]);
  });

  it("name the choices of a discriminated union", () => {
    const schema = z.strictObject({
      registry: z.discriminatedUnion("type", [
        z.strictObject({ type: z.literal("file") }),
        z.strictObject({ type: z.literal("etcd") }),
      ]),
    });
    expect(faults("registry:\n  type: etdc", schema)).toEqual([
      'f.yaml:2:3: registry.type: expected one of file, etcd, got "etdc", did you mean etcd?',
    ]);
    expect(faults("registry: {}", schema)).toEqual(["f.yaml:1:1: registry.type: missing, expected one of file, etcd"]);
  });

  it("say what a plain union wants", () => {
    const schema = z.strictObject({ docker: z.union([z.literal(false), z.strictObject({ host: z.string() })]) });
    expect(faults("docker: true", schema)).toEqual([
      "f.yaml:1:1: docker: expected false or a mapping (key: value), got true",
    ]);
    expect(faults("docker: {host: [1]}", schema)).toEqual(["f.yaml:1:10: docker.host: expected a string, got a list"]);
  });

  it("never show a secret", () => {
    const schema = z.strictObject({ admin: z.strictObject({ token: z.string().min(40) }) });
    expect(faults("admin: {token: hunter2}", schema).join()).not.toContain("hunter2");
  });
});

import { describe, expect, it } from "vitest";
import {
  DOCUMENT_BYTES_MAX,
  decodeInstance,
  decodeNodeEntry,
  encodeInstance,
  encodeNodeEntry,
  type Instance,
  sameInstance,
} from "./instance.ts";

const full: Instance = {
  since: 1_790_000_000_000,
  state: "draining",
  boot: "b1",
  node: "n1",
  image: "some/web:1",
  container: "0123456789ab",
  zone: "no",
  protocol: "udp",
  mode: "http",
  listen: 3000,
  id: "0123456789ab-80",
  labels: { b: "2", a: "1" },
  haproxyServerOptions: "maxconn 10",
  weight: 5,
  name: "node-a",
  port: 32_768,
  host: "10.0.0.7",
};

const wire =
  '{"host":"10.0.0.7","port":32768,"name":"node-a","weight":5,"haproxy_server_options":"maxconn 10",' +
  '"labels":{"a":"1","b":"2"},"id":"0123456789ab-80","listen":3000,"mode":"http","protocol":"udp","zone":"no",' +
  '"container":"0123456789ab","image":"some/web:1","node":"n1","boot":"b1","state":"draining",' +
  '"since":1790000000000,"v":1}';

describe("the document", () => {
  it("is these bytes, whatever the order in memory", () => {
    expect(encodeInstance(full)).toBe(wire);
  });

  it("leaves absent keys out", () => {
    expect(encodeInstance({ host: "h", port: 1 })).toBe('{"host":"h","port":1,"v":1}');
  });

  it("comes back as it was", () => {
    expect(decodeInstance(wire)).toEqual(full);
  });

  it("reads nerve's payload", () => {
    const payload =
      '{"host":"10.0.0.1","port":3000,"name":"i-123","weight":2,"haproxy_server_options":"x","labels":{"az":"a"}}';
    expect(decodeInstance(payload)).toEqual({
      host: "10.0.0.1",
      port: 3000,
      name: "i-123",
      weight: 2,
      haproxyServerOptions: "x",
      labels: { az: "a" },
    });
    expect(decodeInstance('{"host":"h","port":"3000","name":null}')).toEqual({ host: "h", port: 3000 });
  });

  it("reads what it knows of a higher version and ignores the rest", () => {
    expect(decodeInstance('{"host":"h","port":1,"v":9,"new":{"x":1},"state":"resting"}')).toEqual({
      host: "h",
      port: 1,
    });
  });

  it.each([
    ["not json", "not JSON"],
    ["null", "not a JSON object"],
    ["[]", "not a JSON object"],
    ['"x"', "not a JSON object"],
    ['{"port":1}', "host"],
    ['{"host":"","port":1}', "host"],
    ['{"host":"a b","port":1}', "host"],
    [`{"host":"${"h".repeat(256)}","port":1}`, "host"],
    ['{"host":"h"}', "port"],
    ['{"host":"h","port":0}', "port"],
    ['{"host":"h","port":65536}', "port"],
    ['{"host":"h","port":1.5}', "port"],
    ['{"host":"h","port":"x"}', "port"],
    ['{"host":"h","port":1,"listen":99999}', "listen"],
  ])("refuses %s, naming %s", (text, what) => {
    expect(() => decodeInstance(text)).toThrow(expect.objectContaining({ code: "DOCUMENT_INVALID", retry: "never" }));
    expect(() => decodeInstance(text)).toThrow(what);
  });

  it("takes a label of any type but only keeps strings", () => {
    expect(decodeInstance('{"host":"h","port":1,"labels":{"a":"x","b":1,"__proto__":"p"}}').labels).toEqual(
      Object.fromEntries([
        ["a", "x"],
        ["__proto__", "p"],
      ]),
    );
  });

  it("has a size that neither side exceeds", () => {
    const image = "x".repeat(DOCUMENT_BYTES_MAX);
    expect(() => encodeInstance({ host: "h", port: 1, image })).toThrow("bytes");
    expect(() => decodeInstance(`{"host":"h","port":1,"image":"${image}"}`)).toThrow("more than 16384 bytes");
  });

  it("is the same when its bytes are", () => {
    expect(
      sameInstance(
        { host: "h", port: 1, labels: { a: "1", b: "2" } },
        { port: 1, labels: { b: "2", a: "1" }, host: "h" },
      ),
    ).toBe(true);
    expect(sameInstance({ host: "h", port: 1 }, { host: "h", port: 1, weight: 1 })).toBe(false);
    const long = { host: "h", port: 1, image: "x".repeat(DOCUMENT_BYTES_MAX) };
    expect(sameInstance(long, { ...long, weight: 1 })).toBe(false);
  });
});

describe("the node entry", () => {
  it("is these bytes, and comes back", () => {
    const entry = { host: "box", since: 5, boot: "b", node: "n" };
    expect(encodeNodeEntry(entry)).toBe('{"node":"n","boot":"b","since":5,"host":"box"}');
    expect(decodeNodeEntry(encodeNodeEntry(entry))).toEqual(entry);
  });

  it.each(["{}", '{"node":"n"}', '{"node":1,"boot":"b"}', "x"])("refuses %s", (text) => {
    expect(() => decodeNodeEntry(text)).toThrow(expect.objectContaining({ code: "DOCUMENT_INVALID" }));
  });
});

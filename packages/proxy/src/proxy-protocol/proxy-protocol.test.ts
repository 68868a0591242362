import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Ends } from "../ends.ts";
import { bytesOfIp6, textOfIp6 } from "./address-bytes.ts";
import { crc32c } from "./crc32c.ts";
import { SIGNATURE } from "./header.ts";
import { readProxyHeader } from "./read.ts";
import { proxyHeader } from "./write.ts";

const ENDS4: Ends = { source: { address: "192.0.2.1", port: 40_000 }, target: { address: "198.51.100.7", port: 443 } };
const ENDS6: Ends = { source: { address: "2001:db8::1", port: 1 }, target: { address: "::1", port: 65_535 } };
const text = (line: string): Buffer => Buffer.from(line, "latin1");

/** A version 2 header with this command, family and everything behind the length. */
function v2(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), rest]);
}

const ADDRESSES4 = Buffer.from([192, 0, 2, 1, 198, 51, 100, 7, 0x9c, 0x40, 0x01, 0xbb]);
const tlv = (type: number, value: Buffer, length = value.length): Buffer =>
  Buffer.concat([Buffer.from([type, length >> 8, length & 255]), value]);

function withChecksum(header: Buffer): Buffer {
  const whole = Buffer.concat([header, tlv(3, Buffer.alloc(4))]);
  whole.writeUInt16BE(whole.length - 16, 14);
  whole.writeUInt32BE(crc32c(whole), whole.length - 4);
  return whole;
}

describe("headers that are understood", () => {
  it.each([
    ["v1 over IPv4", text("PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n"), ENDS4],
    ["v1 over IPv6", text("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), ENDS6],
    ["v1 of nobody known", text("PROXY UNKNOWN\r\n"), undefined],
    ["v1 of nobody known, with words", text("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), undefined],
    ["v1 as long as it may be", text(`PROXY UNKNOWN ${"x".repeat(107 - 16)}\r\n`), undefined],
    ["v2 over IPv4", v2(0x21, 0x11, ADDRESSES4), ENDS4],
    ["v2 with extensions", v2(0x21, 0x11, Buffer.concat([ADDRESSES4, tlv(2, text("web")), tlv(4, text(""))])), ENDS4],
    ["v2 with a checksum", withChecksum(v2(0x21, 0x11, ADDRESSES4)), ENDS4],
    ["v2 of the sender itself", v2(0x20, 0x11, ADDRESSES4), undefined],
    ["v2 of the sender itself, with nothing", v2(0x20, 0x00, Buffer.alloc(0)), undefined],
    ["v2 from a unix socket", v2(0x21, 0x31, Buffer.alloc(216)), undefined],
    ["v2 of no family", v2(0x21, 0x00, text("anything")), undefined],
  ])("%s, cut at any byte", (_name, header, ends) => {
    for (let cut = 0; cut < header.length; cut++)
      expect(readProxyHeader(header.subarray(0, cut)), `${cut} bytes`).toBe("more");
    expect(readProxyHeader(header)).toEqual({ length: header.length, ends });
    expect(readProxyHeader(Buffer.concat([header, text("GET / HTTP")]))).toEqual({ length: header.length, ends });
  });
});

it("a header of 4 KiB is understood", () => {
  const value = Buffer.alloc(4_096 - 16 - 12 - 3);
  const header = v2(0x21, 0x11, Buffer.concat([ADDRESSES4, tlv(5, value)]));
  expect(readProxyHeader(header.subarray(0, -1))).toBe("more");
  expect(readProxyHeader(header)).toEqual({ length: 4_096, ends: ENDS4 });
});

describe("headers that are refused", () => {
  it.each([
    ["another protocol", text("GET / HTTP/1.1\r\n\r\n"), /does not begin/],
    ["nearly v1", text("PROXZ TCP4"), /does not begin/],
    ["nearly v2", Buffer.concat([SIGNATURE.subarray(0, 11), text("x")]), /does not begin/],
    ["a line without an end", text(`PROXY TCP4 ${"1".repeat(107)}`), /does not end/],
    ["a line of a byte too many", text(`PROXY UNKNOWN ${"x".repeat(108 - 16)}\r\n`), /does not end/],
    ["a line ended by LF", text("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n"), /CR LF/],
    ["two spaces", text("PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n"), /malformed/],
    ["the wrong family", text("PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n"), /malformed/],
    ["an unknown family", text("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n"), /malformed/],
    ["a short address", text("PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n"), /malformed/],
    ["a port too high", text("PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n"), /malformed/],
    ["a port with a zero before it", text("PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n"), /malformed/],
    ["words behind it", text("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n"), /malformed/],
    ["version 3", v2(0x31, 0x11, ADDRESSES4), /version or command/],
    ["an unknown command", v2(0x22, 0x11, ADDRESSES4), /version or command/],
    ["no room for its addresses", v2(0x21, 0x11, ADDRESSES4.subarray(1)), /too short/],
    ["an extension longer than it", v2(0x21, 0x11, Buffer.concat([ADDRESSES4, tlv(1, text("a"), 2)])), /extension/],
    ["half an extension's head", v2(0x21, 0x11, Buffer.concat([ADDRESSES4, Buffer.from([1, 0])])), /extension/],
    ["a length that fills memory", v2(0x21, 0x11, Buffer.alloc(0), 65_535), /bytes long/],
    ["a byte more than 4 KiB", v2(0x21, 0x11, Buffer.alloc(0), 4_096 - 16 + 1), /is 4097 bytes long, more than 4096/],
  ])("%s", (_name, header, problem) => {
    expect(readProxyHeader(header)).toEqual({ problem: expect.stringMatching(problem) });
  });

  it("refuses a header whose checksum does not hold, whichever byte is wrong", () => {
    const header = withChecksum(v2(0x21, 0x11, ADDRESSES4));
    const checksumType = header.length - 7;
    for (let at = 16; at < header.length; at++) {
      // Without it there is no checksum.
      if (at === checksumType) continue;
      const wrong = Buffer.from(header);
      wrong[at] = (wrong[at] as number) ^ 0x10;
      expect(readProxyHeader(wrong), `byte ${at}`).toEqual({ problem: expect.any(String) });
    }
  });
});

describe("headers of ours", () => {
  const end = (address: fc.Arbitrary<string>) => fc.record({ address, port: fc.integer({ min: 0, max: 65_535 }) });
  const ip6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => textOfIp6(Buffer.from(bytes)));
  const ends = (address: fc.Arbitrary<string>) => fc.record({ source: end(address), target: end(address) });

  it.each(["v1", "v2"] as const)("%s says the addresses it was given", (version) => {
    fc.assert(
      fc.property(fc.oneof(ends(fc.ipV4()), ends(ip6)), (given) => {
        const header = proxyHeader(version, given);
        expect(readProxyHeader(header)).toEqual({ length: header.length, ends: given });
      }),
    );
  });

  it.each(["v1", "v2"] as const)("%s of nobody known", (version) => {
    const header = proxyHeader(version, undefined);
    expect(readProxyHeader(header)).toEqual({ length: header.length, ends: undefined });
  });

  it.each(["v1", "v2"] as const)("%s brings two families to one, and back", (version) => {
    const mixed: Ends = { source: ENDS4.source, target: ENDS6.target };
    expect(readProxyHeader(proxyHeader(version, mixed))).toMatchObject({ ends: mixed });
  });
});

it("knows CRC-32C", () => {
  expect(crc32c(text("123456789"))).toBe(0xe3069283);
});

it.each([
  ["::", Buffer.alloc(16)],
  ["2001:db8::ff00:42:8329", Buffer.from("20010db8000000000000ff0000428329", "hex")],
  ["::1", Buffer.from("00000000000000000000000000000001", "hex")],
  ["fe80::", Buffer.from("fe800000000000000000000000000000", "hex")],
])("reads and writes %s", (address, bytes) => {
  expect(bytesOfIp6(address)).toEqual(bytes);
  expect(textOfIp6(bytes)).toBe(address);
});

it("reads a dotted tail and a zone", () => {
  expect(bytesOfIp6("::ffff:192.0.2.1")).toEqual(bytesOfIp6("192.0.2.1"));
  expect(bytesOfIp6("fe80::1%eth0")).toEqual(bytesOfIp6("fe80::1"));
});

import { isIP } from "node:net";
import { type Ends, plainAddress } from "../ends.ts";
import { textOfIp4, textOfIp6 } from "./address-bytes.ts";
import { crc32c } from "./crc32c.ts";
import * as p from "./header.ts";

/** More extensions than this are no header, but somebody filling memory. */
const V2_BYTES_MAX = 4_096;
const CR = 0x0d;
const LF = 0x0a;

/** What the bytes so far come to: a header, the wish for more of them, or why they are none. */
export type ProxyHeaderRead = p.ProxyHeader | "more" | { readonly problem: string };

/**
 * Reads the PROXY protocol header, of version 1 or 2, that a connection must begin with. Nothing is guessed: what does not
 * follow the specification to the letter is refused. Pure.
 * Source: HAProxy's proxy-protocol.txt, sections 2.1 and 2.2.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeaderRead {
  if (startsAs(bytes, p.SIGNATURE)) return bytes.length < p.V2_FIXED_BYTES ? "more" : readV2(bytes);
  if (startsAs(bytes, p.V1_START)) return readV1(bytes);
  return { problem: "it does not begin with a PROXY protocol header" };
}

function startsAs(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

function readV1(bytes: Buffer): ProxyHeaderRead {
  const end = bytes.subarray(0, p.V1_BYTES_MAX).indexOf(LF);
  if (end < 0) return bytes.length < p.V1_BYTES_MAX ? "more" : { problem: "its PROXY line does not end" };
  if (bytes[end - 1] !== CR) return { problem: "its PROXY line does not end with CR LF" };
  const length = end + 1;
  const words = bytes.toString("latin1", p.V1_START.length, end - 1).split(" ");
  if (words[0] === "UNKNOWN") return { length, ends: undefined };
  const family = { TCP4: 4, TCP6: 6 }[words[0] ?? ""];
  const [, source = "", target = "", sourcePort = "", targetPort = ""] = words;
  const addresses = family !== undefined && isIP(source) === family && isIP(target) === family;
  if (!addresses || words.length !== 5 || !isPort(sourcePort) || !isPort(targetPort))
    return { problem: "its PROXY line is malformed" };
  return { length, ends: endsOf(source, target, Number(sourcePort), Number(targetPort)) };
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readV2(bytes: Buffer): ProxyHeaderRead {
  const command = bytes[12] as number;
  const family = bytes[13] as number;
  const rest = bytes.readUInt16BE(14);
  const length = p.V2_FIXED_BYTES + rest;
  if (command !== p.LOCAL && command !== p.PROXY)
    return { problem: `its PROXY header has an unknown version or command ${command}` };
  if (length > V2_BYTES_MAX) return { problem: `its PROXY header is ${length} bytes long, more than ${V2_BYTES_MAX}` };
  if (bytes.length < length) return "more";
  const header = bytes.subarray(0, length);
  // A sender that speaks for itself may leave anything where the addresses would be.
  if (command === p.LOCAL) return { length, ends: undefined };
  const addressBytes = ADDRESS_BYTES.get(family);
  // Datagrams, unix sockets and what may come one day: their addresses are no client's of ours.
  if (addressBytes === undefined) return { length, ends: undefined };
  if (rest < addressBytes) return { problem: "its PROXY header is too short for its addresses" };
  const problem = extensionProblem(header, p.V2_FIXED_BYTES + addressBytes);
  return problem === undefined ? { length, ends: addressesOf(header, family) } : { problem };
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [p.TCP4, p.ADDRESS_BYTES.tcp4],
  [p.TCP6, p.ADDRESS_BYTES.tcp6],
]);

function addressesOf(header: Buffer, family: number): Ends {
  const at = p.V2_FIXED_BYTES;
  const size = family === p.TCP4 ? 4 : 16;
  const text = family === p.TCP4 ? textOfIp4 : textOfIp6;
  const ports = at + 2 * size;
  return endsOf(
    text(header.subarray(at, at + size)),
    text(header.subarray(at + size, ports)),
    header.readUInt16BE(ports),
    header.readUInt16BE(ports + 2),
  );
}

function endsOf(source: string, target: string, sourcePort: number, targetPort: number): Ends {
  return {
    source: { address: plainAddress(source), port: sourcePort },
    target: { address: plainAddress(target), port: targetPort },
  };
}

/** The extensions must fill the header exactly, and a checksum among them must be right. */
function extensionProblem(header: Buffer, from: number): string | undefined {
  let at = from;
  while (at < header.length) {
    const value = at + p.TLV_HEAD_BYTES;
    const end = value > header.length ? Number.POSITIVE_INFINITY : value + header.readUInt16BE(at + 1);
    if (end > header.length) return "an extension of its PROXY header is longer than the header";
    if (header[at] === p.TLV_CRC32C && !checksumHolds(header, value, end))
      return "its PROXY header's checksum is wrong";
    at = end;
  }
  return undefined;
}

/** Counted with the checksum's own bytes as zeros. */
function checksumHolds(header: Buffer, value: number, end: number): boolean {
  if (end - value !== 4) return false;
  const zeroed = Buffer.from(header);
  zeroed.fill(0, value, end);
  return crc32c(zeroed) === header.readUInt32BE(value);
}

import { isIPv4 } from "node:net";
import type { Ends } from "../ends.ts";
import { bytesOfIp4, bytesOfIp6 } from "./address-bytes.ts";
import * as p from "./header.ts";

/**
 * The header that tells a backend who the client is. Without `ends` (a unix socket, our own probe) it says so. Pure.
 * Source: HAProxy's proxy-protocol.txt, sections 2.1 and 2.2.
 */
export function proxyHeader(version: p.ProxyVersion, ends: Ends | undefined): Buffer {
  return version === "v1" ? lineOf(ends) : binaryOf(ends);
}

function lineOf(ends: Ends | undefined): Buffer {
  if (ends === undefined) return Buffer.from("PROXY UNKNOWN\r\n");
  const { source, target } = ends;
  const both4 = isIPv4(source.address) && isIPv4(target.address);
  // Of one family each end must be: the other way round there is no IPv4 form of an IPv6 address.
  const text = (address: string): string => (!both4 && isIPv4(address) ? `::ffff:${address}` : address);
  const addresses = `${text(source.address)} ${text(target.address)}`;
  return Buffer.from(`PROXY ${both4 ? "TCP4" : "TCP6"} ${addresses} ${source.port} ${target.port}\r\n`, "latin1");
}

function binaryOf(ends: Ends | undefined): Buffer {
  if (ends === undefined) return Buffer.concat([p.SIGNATURE, Buffer.from([p.LOCAL, p.UNSPEC, 0, 0])]);
  const { source, target } = ends;
  const both4 = isIPv4(source.address) && isIPv4(target.address);
  const bytesOf = both4 ? bytesOfIp4 : bytesOfIp6;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(target.port, 2);
  const addresses = Buffer.concat([bytesOf(source.address), bytesOf(target.address), ports]);
  const head = Buffer.from([p.PROXY, both4 ? p.TCP4 : p.TCP6, 0, addresses.length]);
  return Buffer.concat([p.SIGNATURE, head, addresses]);
}

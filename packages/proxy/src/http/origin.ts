import { BlockList, isIP } from "node:net";
import type { Random } from "@smartstack/core";
import type { OriginSpec } from "../snapshot.ts";
import { put, putText } from "../stage.ts";
import * as h from "./head.ts";
import { equalsWord } from "./tables.ts";

const CRLF = "\r\n";
const CRLF_BYTES = Buffer.from(CRLF);
const FORWARDED_FOR = Buffer.from("X-Forwarded-For: ");
const PROTO = Buffer.from(`X-Forwarded-Proto: http${CRLF}`);
/** A longer host is told in no line of ours: it is nobody's name, and would not fit in memory twice. */
const HOST_BYTES_MAX = 255;

export const DEFAULT_ORIGIN: OriginSpec = {
  xForwarded: { for: true, proto: true, host: false },
  forwarded: false,
  via: undefined,
  requestId: undefined,
  trusted: "all",
};

/** What the lines about a request's origin are made of. */
export interface Origin {
  readonly spec: OriginSpec;
  /** The client may say itself where its request comes from. */
  readonly trusted: boolean;
  /** Absent for clients without an address (unix sockets). */
  readonly clientAddress: Uint8Array | undefined;
  /** Of this request, on all its attempts; where it has to have one. */
  readonly requestId: string | undefined;
}

const lists = new WeakMap<readonly string[], BlockList>();

/** Is the client's own word on the origin of its requests believed? A client without an address is on this machine. */
export function isTrusted({ trusted }: OriginSpec, address: string | undefined): boolean {
  if (trusted === "all" || address === undefined) return true;
  let list = lists.get(trusted);
  if (list === undefined) {
    list = blockList(trusted);
    lists.set(trusted, list);
  }
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** 32 hex digits: enough to tell requests apart, no secret. */
export function newRequestId(random: Random): string {
  let id = "";
  for (let part = 0; part < 4; part++)
    id += Math.floor(random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, "0");
  return id;
}

/** Does this line of the client's speak of the origin, and is not sent on as it is? */
export function replacesLine(bytes: Buffer, head: h.Head, line: number, kind: number, origin: Origin): boolean {
  switch (kind) {
    case h.X_FORWARDED_FOR:
      return !origin.trusted || origin.spec.xForwarded.for;
    case h.X_FORWARDED_PROTO:
      return !origin.trusted;
    case h.OTHER:
      return !origin.trusted && speaksOfOrigin(bytes, head, line, origin.spec.requestId);
    default:
      return false;
  }
}

function speaksOfOrigin(bytes: Buffer, head: h.Head, line: number, requestId: string | undefined): boolean {
  const start = h.nameStart(head, line);
  const end = h.nameEnd(head, line);
  return (
    equalsWord(bytes, start, Math.min(end, start + 12), "x-forwarded-") ||
    equalsWord(bytes, start, end, "forwarded") ||
    (requestId !== undefined && equalsWord(bytes, start, end, requestId.toLowerCase()))
  );
}

/** Room for the lines of `putOrigin` beside those of the client's that they repeat. */
export function originBytes({ spec, clientAddress }: Origin): number {
  return 512 + 2 * HOST_BYTES_MAX + 2 * (clientAddress?.length ?? 0) + (spec.via?.length ?? 0);
}

/** Puts our lines about where the request comes from. */
export function putOrigin(bytes: Buffer, head: h.Head, origin: Origin): void {
  const { spec, trusted, clientAddress } = origin;
  let forwardedFor = false;
  let forwardedProto = false;
  if (trusted) {
    for (let each = 0; each < head.knownCount; each++) {
      const kind = head.kinds[head.known[each] as number];
      if (kind === h.X_FORWARDED_FOR) forwardedFor = true;
      else if (kind === h.X_FORWARDED_PROTO) forwardedProto = true;
    }
  }
  if (spec.xForwarded.for && (clientAddress !== undefined || forwardedFor))
    putForwardedFor(bytes, head, clientAddress, forwardedFor);
  if (spec.xForwarded.proto && !forwardedProto) putAll(PROTO);
  // Most services ask for no more than that.
  if (spec.xForwarded.host || spec.forwarded || spec.via !== undefined || spec.requestId !== undefined)
    putMore(bytes, head, origin);
}

function putMore(bytes: Buffer, head: h.Head, { spec, trusted, clientAddress, requestId }: Origin): void {
  const host = hostOf(bytes, head);
  const has = (name: string): boolean => trusted && hasLine(bytes, head, name);
  if (spec.xForwarded.host && host !== undefined && !has("x-forwarded-host"))
    putText(`X-Forwarded-Host: ${host}${CRLF}`);
  if (spec.forwarded) {
    const by = host === undefined ? "" : `;host="${host}"`;
    putText(`Forwarded: for=${forwardedNode(clientAddress)}${by};proto=http${CRLF}`);
  }
  if (spec.via !== undefined) putText(`Via: 1.${head.minor} ${spec.via}${CRLF}`);
  if (spec.requestId !== undefined && requestId !== undefined && !has(spec.requestId.toLowerCase()))
    putText(`${spec.requestId}: ${requestId}${CRLF}`);
}

// RFC 7239 §6: an IPv6 address in brackets and quotes; a client without an address has no name.
function forwardedNode(address: Uint8Array | undefined): string {
  if (address === undefined) return "unknown";
  const text = Buffer.from(address).toString("latin1");
  return text.includes(":") ? `"[${text}]"` : text;
}

function hostOf(bytes: Buffer, head: h.Head): string | undefined {
  if (head.hosts === 0) return undefined;
  const start = h.valueStart(head, head.hostLine);
  const end = h.valueEnd(head, head.hostLine);
  return end === start || end - start > HOST_BYTES_MAX ? undefined : bytes.toString("latin1", start, end);
}

function hasLine(bytes: Buffer, head: h.Head, name: string): boolean {
  for (let line = 0; line < head.count; line++)
    if (equalsWord(bytes, h.nameStart(head, line), h.nameEnd(head, line), name)) return true;
  return false;
}

// Every X-Forwarded-For a trusted client sent, then its own address: one line, in the order of the hops.
function putForwardedFor(
  bytes: Buffer,
  head: h.Head,
  clientAddress: Uint8Array | undefined,
  clientsToo: boolean,
): void {
  putAll(FORWARDED_FOR);
  let first = true;
  for (let line = 0; clientsToo && line < head.count; line++) {
    if (head.kinds[line] !== h.X_FORWARDED_FOR || h.valueStart(head, line) === h.valueEnd(head, line)) continue;
    if (!first) putText(", ");
    put(bytes, h.valueStart(head, line), h.valueEnd(head, line));
    first = false;
  }
  if (clientAddress !== undefined) {
    if (!first) putText(", ");
    putAll(clientAddress);
  }
  putAll(CRLF_BYTES);
}

function putAll(bytes: Uint8Array): void {
  put(bytes, 0, bytes.length);
}

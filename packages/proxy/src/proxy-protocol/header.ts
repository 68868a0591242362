import type { Ends } from "../ends.ts";

/** The protocol's versions: a line of text, or binary with extensions. */
export type ProxyVersion = "v1" | "v2";

/** The first bytes of a version 2 header; no other protocol begins so. */
export const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
export const V1_START = Buffer.from("PROXY ");
/** The longest line of version 1, its end included. */
export const V1_BYTES_MAX = 107;
/** Of a version 2 header before its addresses. */
export const V2_FIXED_BYTES = 16;

export const LOCAL = 0x20;
export const PROXY = 0x21;
export const UNSPEC = 0x00;
export const TCP4 = 0x11;
export const TCP6 = 0x21;
export const ADDRESS_BYTES = { tcp4: 12, tcp6: 36 } as const;

export const TLV_HEAD_BYTES = 3;
export const TLV_CRC32C = 0x03;

/** What a connection began with. */
export interface ProxyHeader {
  /** Its length; what follows belongs to the connection itself. */
  readonly length: number;
  /** Undefined where the sender speaks for itself (a health check), or does not know: the connection's own ends hold. */
  readonly ends: Ends | undefined;
}

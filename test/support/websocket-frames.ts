/** One frame as a client sends it, and as no library would let one make it. */
export interface FrameOptions {
  readonly fin?: boolean;
  /** The three reserved bits, as 0–7. */
  readonly rsv?: number;
  readonly masked?: boolean;
}

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

export function frame(opcode: number, payload: Buffer | string, options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, masked = true } = options;
  const data = Buffer.from(payload);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const head = Buffer.concat([Buffer.of(first), lengthBytes(data.length, masked)]);
  if (!masked) return Buffer.concat([head, data]);
  return Buffer.concat([head, MASK, data.map((byte, n) => byte ^ (MASK[n % 4] as number))]);
}

export function closeFrame(code: number, reason = ""): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return frame(CLOSE, Buffer.concat([payload, Buffer.from(reason)]));
}

function lengthBytes(length: number, masked: boolean): Buffer {
  const bit = masked ? 0x80 : 0;
  if (length < 126) return Buffer.of(bit | length);
  if (length < 65_536) return Buffer.of(bit | 126, length >> 8, length & 255);
  const bytes = Buffer.alloc(9);
  bytes[0] = bit | 127;
  bytes.writeBigUInt64BE(BigInt(length), 1);
  return bytes;
}

/** Is there a whole Close among the frames a server sent? */
export function hasClose(bytes: Buffer): boolean {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = (bytes[at] as number) & 15;
    const short = (bytes[at + 1] as number) & 127;
    if (at + 10 > bytes.length && short > 125) return false;
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const end = at + 2 + extra + length;
    if (opcode === CLOSE) return end <= bytes.length;
    at = end;
  }
  return false;
}

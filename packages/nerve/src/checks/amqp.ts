import type { Wire } from "./conversation.ts";
import { printable } from "./printable.ts";

/** "AMQP", then protocol 0-9-1. */
export const PROTOCOL_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1]);

/** Methods of class 10, "connection". */
export const CONNECTION = {
  start: 10,
  startOk: 11,
  tune: 30,
  tuneOk: 31,
  open: 40,
  openOk: 41,
  close: 50,
  closeOk: 51,
} as const;

const CONNECTION_CLASS = 10;
const METHOD_FRAME = 1;
const HEARTBEAT_FRAME = 8;
const FRAME_END = 0xce;

export function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

export function longString(bytes: Buffer | string): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(Buffer.byteLength(bytes), 0);
  return Buffer.concat([head, Buffer.from(bytes)]);
}

/** A method of class connection, on channel 0, in its frame. */
export function methodFrame(method: number, ...args: readonly Buffer[]): Buffer {
  const body = Buffer.concat([Buffer.from([0, CONNECTION_CLASS, 0, method]), ...args]);
  const head = Buffer.from([METHOD_FRAME, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(body.length, 3);
  return Buffer.concat([head, body, Buffer.from([FRAME_END])]);
}

/**
 * The arguments of the next method, which must be `method`.
 * @throws Error when it is another one; with the server's own words when it closes the connection.
 */
export async function expectMethod(wire: Wire, method: number): Promise<Buffer> {
  const body = await methodBody(wire);
  const got = body.length < 4 || body.readUInt16BE(0) !== CONNECTION_CLASS ? undefined : body.readUInt16BE(2);
  if (got === method) return body.subarray(4);
  if (got !== CONNECTION.close || body.length < 7) throw new Error(`not AMQP 0-9-1: ${printable(body)}`);
  wire.send(methodFrame(CONNECTION.closeOk));
  throw new Error(`${body.readUInt16BE(4)} ${printable(body.subarray(7, 7 + body.readUInt8(6)))}`);
}

async function methodBody(wire: Wire): Promise<Buffer> {
  for (;;) {
    const head = await wire.read(7);
    if (head.subarray(0, 4).equals(PROTOCOL_HEADER.subarray(0, 4)))
      throw new Error("the server speaks another version of AMQP");
    const type = head.readUInt8(0);
    if (type !== METHOD_FRAME && type !== HEARTBEAT_FRAME) throw new Error(`not AMQP: ${printable(head)}`);
    const rest = await wire.read(head.readUInt32BE(3) + 1);
    if (rest.at(-1) !== FRAME_END) throw new Error("not AMQP: a frame without its end");
    if (type === METHOD_FRAME) return rest.subarray(0, -1);
  }
}

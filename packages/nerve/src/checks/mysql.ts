import { z } from "zod";
import type { CheckKind, OptionsOf, ProbeRequest, ProbeResult } from "./check.ts";
import { converse, type Wire } from "./conversation.ts";
import { printable } from "./printable.ts";

const keys = {
  /** Need not exist: being refused proves as much. One that does, without password and rights, spares the server's log. */
  username: z.string().min(1).max(32).default("smartstack"),
};

type MysqlOptions = OptionsOf<typeof keys>;

/**
 * Passes when the server introduces itself and answers a login, whatever the answer is, or says at once that this host
 * may not log in (1130). Not when it has no room for a connection, shuts down, or has locked this host out.
 *
 * The login is there for the server's sake: a connection that ends before it counts as broken, and after
 * `max_connect_errors` (100) of them MySQL and MariaDB lock the whole host out. A refused login does not count.
 */
export const mysql: CheckKind<MysqlOptions> = { active: true, inConfig: true, keys, probe };

const OK = 0x00;
const MORE_AUTH = 0x01;
const SWITCH_AUTH = 0xfe;
const ERR = 0xff;

/** Too many connections, shutting down, locked out until an operator flushes the hosts: it serves nobody, or not us again. */
const OUT_OF_SERVICE = new Set([1040, 1053, 1129]);

/** Answers to a login before the final one: a change of method, and its own messages. */
const LOGIN_STEPS_MAX = 4;

const QUIT = Buffer.from([1, 0, 0, 0, 1]);

function probe(request: ProbeRequest<MysqlOptions>): Promise<ProbeResult> {
  return converse(request, async (wire) => {
    const first = (await packet(wire)).payload;
    if (first[0] === ERR) return refused(first, "refuses this host");
    const { version, plugin } = greeting(first);
    wire.send(framed(1, loginOf(request.options.username, plugin)));
    for (let step = 0; step < LOGIN_STEPS_MAX; step++) {
      const { sequence, payload } = await packet(wire);
      if (payload[0] === OK) {
        wire.send(QUIT);
        return { passed: true, reason: `${version}, logged in` };
      }
      if (payload[0] === ERR) return refused(payload, `${version}, answers a login`);
      if (payload[0] !== SWITCH_AUTH && payload[0] !== MORE_AUTH) break;
      // Whatever method it wants: an empty answer is an empty password in all of them.
      wire.send(framed(sequence + 1, Buffer.alloc(0)));
    }
    throw new Error("no MySQL answer to a login");
  });
}

interface Packet {
  readonly sequence: number;
  readonly payload: Buffer;
}

async function packet(wire: Wire): Promise<Packet> {
  const head = await wire.read(4);
  const payload = await wire.read(head.readUIntLE(0, 3));
  if (payload.length === 0) throw new Error("not MySQL: an empty packet");
  return { sequence: head.readUInt8(3), payload };
}

function framed(sequence: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(payload.length, 0, 3);
  head.writeUInt8(sequence & 0xff, 3);
  return Buffer.concat([head, payload]);
}

/** The parts of the handshake, protocol version 10, that are used here. @throws Error when it is none. */
function greeting(payload: Buffer): { readonly version: string; readonly plugin: string } {
  const end = payload.indexOf(0, 1);
  if (payload[0] !== 10 || end < 2) throw new Error(`not MySQL: ${printable(payload)}`);
  const version = printable(payload.subarray(1, end));
  // Connection id, first part of the challenge, filler, flags, character set, status, flags; then the challenge's length.
  const rest = payload.subarray(end + 1);
  if (rest.length < 15) throw new Error(`not MySQL: a handshake of ${payload.length} bytes`);
  const challengeLength = rest[20] ?? 0;
  const pluginText = rest.subarray(31 + Math.max(13, challengeLength - 8)).toString("latin1");
  return { version, plugin: pluginText.split("\0", 1)[0] || "mysql_native_password" };
}

/** HandshakeResponse41 with an empty password: long flag, protocol 4.1, secure connection, plugin name. */
function loginOf(username: string, plugin: string): Buffer {
  const head = Buffer.alloc(32);
  head.writeUInt32LE(0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000, 0);
  head.writeUInt32LE(0x0100_0000, 4);
  head.writeUInt8(33, 8);
  return Buffer.concat([head, Buffer.from(`${username}\0\0${plugin}\0`)]);
}

function refused(payload: Buffer, reason: string): ProbeResult {
  const said = errorText(payload);
  if (OUT_OF_SERVICE.has(payload.readUInt16LE(1))) return { passed: false, reason: said };
  return { passed: true, reason, output: said };
}

function errorText(payload: Buffer): string {
  if (payload.length < 3) throw new Error("not MySQL: an error without a code");
  const text = payload
    .subarray(3)
    .toString("utf8")
    .replace(/^#...../, "");
  return printable(`error ${payload.readUInt16LE(1)}: ${text}`);
}

import { connect, type Socket } from "node:net";
import { attempt } from "./attempt.ts";
import type { ProbeRequest, ProbeResult } from "./check.ts";
import { lookupOf } from "./lookup.ts";
import { printable } from "./printable.ts";

/** A greeting or a status line is small; who sends more without being asked does not speak the protocol. */
const HELD_BYTES_MAX = 64 * 1024;
const LINE_BYTES_MAX = 4 * 1024;

/** One connection as its conversation sees it: what was sent is waited for, piece by piece. */
export interface Wire {
  send(bytes: Buffer | string): void;
  /** The next `count` bytes. @throws Error when the connection ends before, or the count is beyond all sense. */
  read(count: number): Promise<Buffer>;
  /** Up to the next CRLF, without it. @throws Error as `read`, and for a line of more than 4 KiB. */
  line(): Promise<string>;
}

/** What every protocol check has in common: connect, talk, close. What `talk` throws is the reason of the failure. */
export function converse(request: ProbeRequest, talk: (wire: Wire) => Promise<ProbeResult>): Promise<ProbeResult> {
  const { host, port, timeoutMs } = request;
  return attempt(request, async ({ defer, late }) => {
    late(`no connection within ${timeoutMs} ms`);
    const socket = connect({ host, port, noDelay: true, lookup: lookupOf(request) });
    defer(() => socket.destroy());
    socket.on("connect", () => late(`connected, but no answer within ${timeoutMs} ms`));
    return talk(wireOf(socket));
  });
}

function wireOf(socket: Socket): Wire {
  let held: Buffer = Buffer.alloc(0);
  let ended: Error | undefined;
  let wake = (): void => undefined;
  const end = (error: Error): void => {
    ended ??= error;
    wake();
  };
  socket.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    if (held.length > HELD_BYTES_MAX) socket.destroy(new Error(`it sent more than ${HELD_BYTES_MAX} bytes unasked`));
    wake();
  });
  socket.on("error", end);
  socket.on("close", () => end(new Error("it closed the connection without an answer")));

  /** `measure`: how many bytes the next piece has, or undefined while that cannot be told. */
  const take = async (measure: () => number | undefined): Promise<Buffer> => {
    for (;;) {
      const count = measure();
      if (count !== undefined && held.length >= count) {
        const piece = held.subarray(0, count);
        held = held.subarray(count);
        return piece;
      }
      if (ended !== undefined) throw ended;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const lineLength = (): number | undefined => {
    const at = held.indexOf("\r\n");
    if (at >= 0) return at + 2;
    if (held.length > LINE_BYTES_MAX) throw new Error(`a line without end: ${printable(held)}`);
    return undefined;
  };
  return {
    send: (bytes) => socket.write(bytes),
    async read(count) {
      if (count > HELD_BYTES_MAX) throw new Error(`it announced an answer of ${count} bytes: another protocol?`);
      return take(() => count);
    },
    line: async () => (await take(lineLength)).toString("utf8").slice(0, -2),
  };
}

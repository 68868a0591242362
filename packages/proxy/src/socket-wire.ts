import { connect, type Socket } from "node:net";
import { unixPath } from "./backend-address.ts";
import { endsOf } from "./ends.ts";
import { firstBytes, READ_BYTES } from "./memory.ts";
import { discardStage, enterEvent, flushStage, leaveEvent, releaseStage, type StageMemory } from "./stage.ts";
import { CONNECTING_BYTES, type Connecting, NOBODY, type Wire } from "./wire.ts";

/** What sockets we open read into; those we accept come with memory of their own for each read. */
const readMemory = Buffer.allocUnsafeSlow(READ_BYTES);
const readBytes = firstBytes(readMemory);
const NO_BYTES = Buffer.alloc(0);

/**
 * A connection on Node's public API alone: what names that need looking up, and runtimes without the handles of
 * handle-wire.ts, are served with.
 */
export function socketWire(socket: Socket, closed: (error: NodeJS.ErrnoException | undefined) => void): Wire {
  let failure: NodeJS.ErrnoException | undefined;
  const wire = {
    owner: NOBODY,
    onGone: undefined,
    destroyed: false,
    writable: true,
    needsDrain: false,
    written: 0,
    peer: () => socket.remoteAddress,
    ends: () =>
      endsOf(
        { address: socket.remoteAddress, port: socket.remotePort },
        { address: socket.localAddress, port: socket.localPort },
      ),
    send(memory: StageMemory, length: number): boolean {
      if (!wire.writable) return false;
      wire.written += length;
      // Behind others, or early, they have to wait: for that a copy is enough, instead of the whole stage.
      if (socket.connecting || socket.writableLength > 0) {
        socket.write(Buffer.from(memory.first(length)), drained);
        if (socket.writableLength > (socket.connecting ? CONNECTING_BYTES : 0)) wire.needsDrain = true;
        return false;
      }
      let kept = false;
      socket.write(memory.first(length), () => {
        if (kept) releaseStage(memory);
        drained();
      });
      kept = socket.writableLength > 0;
      if (kept) wire.needsDrain = true;
      return kept;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end(done?: () => void): void {
      flushStage();
      wire.writable = false;
      socket.end(done);
    },
    probe(clean: () => void): void {
      // With an error, the connection's close follows and says so.
      socket.write(NO_BYTES, (error) => {
        if (!error && !wire.destroyed) event(clean);
      });
    },
    destroy(error?: NodeJS.ErrnoException): void {
      close();
      socket.destroy(error);
    },
    reset(): void {
      close();
      // A unix socket knows no reset.
      if (socket.remoteAddress === undefined) socket.destroy();
      else socket.resetAndDestroy();
    },
  };
  function close(): void {
    discardStage(wire);
    wire.destroyed = true;
    wire.writable = false;
  }
  function event(run: () => void): void {
    enterEvent();
    run();
    leaveEvent();
  }
  function drained(): void {
    if (!wire.needsDrain || wire.destroyed || socket.writableLength > 0) return;
    wire.needsDrain = false;
    event(() => wire.owner.wireDrained());
  }
  socket.on("data", (bytes: Buffer) => event(() => wire.owner.wireData(bytes)));
  socket.pause();
  socket.on("end", () => event(() => wire.owner.wireEnded()));
  socket.on("error", (error: NodeJS.ErrnoException) => {
    failure = error;
    close();
  });
  socket.on("close", () =>
    event(() => {
      close();
      closed(failure);
      wire.owner.wireClosed(failure);
    }),
  );
  return wire;
}

/** A connection to a host by name or address, or to a unix socket. */
export function dialSocket(host: string, port: number, { owner, connected, closed }: Connecting): Wire {
  const onread = {
    buffer: readMemory,
    callback(count: number): boolean {
      enterEvent();
      wire.owner.wireData(readBytes(count));
      leaveEvent();
      return true;
    },
  };
  const path = unixPath(host);
  const where = path === undefined ? { host, port } : { path };
  const socket = connect({ ...where, allowHalfOpen: true, noDelay: true, keepAlive: true, onread });
  const wire = socketWire(socket, closed);
  wire.owner = owner;
  socket.once("connect", () => {
    enterEvent();
    connected();
    leaveEvent();
  });
  return wire;
}

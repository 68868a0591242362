import { type Ends, endsOf } from "./ends.ts";
import {
  connectHandle,
  EOF,
  errorOf,
  type HandleName,
  READ_MEMORY,
  readCount,
  type StreamHandle,
  shutDown,
  writeNow,
} from "./handles.ts";
import { firstBytes } from "./memory.ts";
import { discardStage, enterEvent, flushStage, leaveEvent, releaseStage, type StageMemory } from "./stage.ts";
import { CONNECTING_BYTES, type Connecting, NOBODY, type Wire } from "./wire.ts";

/** A connection to an IP address, or undefined where only dialSocket can make one. */
export function dialHandle(host: string, port: number, { owner, connected, closed }: Connecting): Wire | undefined {
  const dialled = connectHandle(host, port, (status) => wire.connectEnded(status));
  if (dialled === undefined) return undefined;
  const wire = handleWire(dialled.handle, closed, connected);
  wire.owner = owner;
  if (dialled.status !== 0) wire.destroy(errorOf(dialled.status, "connect"));
  return wire;
}

const readBytes = firstBytes(READ_MEMORY);
const NO_BYTES = Buffer.alloc(0);

interface HandleWire extends Wire {
  connectEnded(status: number): void;
}

/** A connection on a handle; with `connected` it is one that does not stand yet. */
export function handleWire(
  handle: StreamHandle,
  closed: (error: NodeJS.ErrnoException | undefined) => void,
  connected?: () => void,
): HandleWire {
  let queue: Buffer[] | undefined = connected === undefined ? undefined : [];
  let wantsEnd: (() => void) | undefined;
  let reading = false;
  let wantsRead = false;
  let otherEnded = false;
  let weEnded = false;
  let pending = 0;

  const wire = {
    owner: NOBODY,
    onGone: undefined,
    destroyed: false,
    writable: true,
    needsDrain: false,
    written: 0,
    peer(): string | undefined {
      const out: HandleName = {};
      return handle.getpeername?.(out) === 0 ? out.address : undefined;
    },
    ends(): Ends | undefined {
      const source: HandleName = {};
      const target: HandleName = {};
      if (handle.getpeername?.(source) !== 0 || handle.getsockname?.(target) !== 0) return undefined;
      return endsOf(source, target);
    },
    send(memory: StageMemory, length: number): boolean {
      if (!wire.writable) return false;
      wire.written += length;
      const bytes = memory.first(length);
      if (queue !== undefined) {
        queue.push(Buffer.from(bytes));
        wire.needsDrain = wire.written > CONNECTING_BYTES;
        return false;
      }
      // Behind others it has to wait: for that a copy is enough, instead of the whole stage.
      if (pending > 0) return write(Buffer.from(bytes), undefined);
      return write(bytes, memory);
    },
    pause(): void {
      wantsRead = false;
      if (reading) handle.readStop();
      reading = false;
    },
    resume(): void {
      wantsRead = true;
      if (reading || otherEnded || wire.destroyed || queue !== undefined) return;
      reading = true;
      const status = handle.readStart();
      if (status !== 0) wire.destroy(errorOf(status, "read"));
    },
    end(done: () => void = () => undefined): void {
      flushStage();
      if (!wire.writable) return;
      wire.writable = false;
      if (queue === undefined) shutdown(done);
      else wantsEnd = done;
    },
    probe(clean: () => void): void {
      write(NO_BYTES, undefined);
      if (!wire.destroyed) clean();
    },
    destroy(error?: NodeJS.ErrnoException): void {
      if (leave()) handle.close(() => gone(error));
    },
    reset(): void {
      if (!leave()) return;
      // Refused while our end is on its way, and unknown to unix sockets.
      if (handle.reset === undefined || handle.reset(() => gone(undefined)) !== 0) handle.close(() => gone(undefined));
    },
    connectEnded(status: number): void {
      if (wire.destroyed) return;
      if (status !== 0) {
        wire.destroy(errorOf(status, "connect"));
        return;
      }
      enterEvent();
      stand();
      leaveEvent();
    },
  };

  function stand(): void {
    const early = queue ?? [];
    const waited = wire.needsDrain;
    queue = undefined;
    handle.useUserBuffer(READ_MEMORY);
    wire.needsDrain = false;
    connected?.();
    for (const bytes of early) if (!wire.destroyed) write(bytes, undefined);
    if (wantsEnd !== undefined && !wire.destroyed) shutdown(wantsEnd);
    if (wantsRead) wire.resume();
    if (waited && !wire.needsDrain && !wire.destroyed) wire.owner.wireDrained();
  }

  function write(bytes: Buffer, memory: StageMemory | undefined): boolean {
    const written = writeNow(handle, bytes);
    if (written === 0) return false;
    if (typeof written === "number") {
      wire.destroy(errorOf(written, "write"));
      return false;
    }
    pending++;
    wire.needsDrain = true;
    written.oncomplete = (status) => {
      pending--;
      if (memory !== undefined) releaseStage(memory);
      if (wire.destroyed) return;
      if (status < 0) wire.destroy(errorOf(status, "write"));
      else if (pending === 0) drained();
    };
    return memory !== undefined;
  }

  function drained(): void {
    wire.needsDrain = false;
    enterEvent();
    wire.owner.wireDrained();
    leaveEvent();
  }

  function shutdown(done: () => void): void {
    shutDown(handle, () => {
      if (wire.destroyed) return;
      weEnded = true;
      done();
      if (otherEnded) wire.destroy();
    });
  }

  function read(): void {
    const count = readCount();
    if (count === 0 || wire.destroyed) return;
    enterEvent();
    if (count > 0) wire.owner.wireData(readBytes(count));
    else if (count === EOF) {
      otherEnded = true;
      reading = false;
      wire.owner.wireEnded();
      if (weEnded) wire.destroy();
    } else wire.destroy(errorOf(count, "read"));
    leaveEvent();
  }

  function leave(): boolean {
    if (wire.destroyed) return false;
    discardStage(wire);
    wire.destroyed = true;
    wire.writable = false;
    return true;
  }

  function gone(error: NodeJS.ErrnoException | undefined): void {
    enterEvent();
    closed(error);
    wire.owner.wireClosed(error);
    leaveEvent();
  }

  handle.onread = read;
  if (queue === undefined) handle.useUserBuffer(READ_MEMORY);
  return wire;
}

import { carve, copyBytes, elsewhere, type FirstBytes, firstBytes, type Memory } from "./memory.ts";

/**
 * Where outgoing bytes are put together, so that a message leaves in one write: one piece of memory for the process,
 * filled for one receiver at a time. What one event writes to a receiver is sent when the event is over, when another
 * receiver's bytes come up, or when it is asked for.
 */

/** Room for the longest head and one read of a body behind it. */
const STAGE_BYTES = 64 * 1024;
/** Pieces of memory kept for the time when receivers take their bytes late; further ones are made, and let go. */
const KEPT_MAX = 17;
/** One piece of memory a message is put together in. */
export interface StageMemory extends Memory {
  readonly first: FirstBytes;
}

export interface Receiver {
  /** Takes the first `length` bytes now. True when it goes on reading them, and gives them back by `releaseStage`. */
  send(memory: StageMemory, length: number): boolean;
}

const spares: StageMemory[] = [];
let kept = 0;
let memory = createMemory();
let length = 0;
let receiver: Receiver | undefined;
let depth = 0;
/** Where the present `beginPut` began. */
let putStart = 0;

function createMemory(): StageMemory {
  const piece = kept < KEPT_MAX ? carve(STAGE_BYTES) : elsewhere(STAGE_BYTES);
  if (piece.at >= 0) kept++;
  return { ...piece, first: firstBytes(piece.bytes) };
}

/** An event begins: what it writes is sent at its end. */
export function enterEvent(): void {
  depth++;
}

export function leaveEvent(): void {
  if (--depth === 0 && length > 0) flushStage();
}

/** Sends what is staged, whoever it is for. */
export function flushStage(): void {
  if (receiver === undefined) return;
  const to = receiver;
  const count = length;
  receiver = undefined;
  length = 0;
  if (count > 0 && to.send(memory, count)) memory = spares.pop() ?? createMemory();
}

/** Drops what is staged for a receiver that is being closed. */
export function discardStage(of: Receiver): void {
  if (receiver !== of) return;
  receiver = undefined;
  length = 0;
}

/** A receiver is done with the memory it kept. */
export function releaseStage(released: StageMemory): void {
  if (released.at >= 0) spares.push(released);
}

/** Makes the stage `to`'s, with room for `bytes` more by `put` and `putText`; `finishPut` ends them. At most half the stage. */
export function beginPut(to: Receiver, bytes: number): void {
  if (receiver !== to || length + bytes > STAGE_BYTES) flushStage();
  receiver = to;
  putStart = length;
}

/** Returns how many bytes were put. */
export function finishPut(): number {
  const count = length - putStart;
  if (depth === 0) flushStage();
  return count;
}

export function put(bytes: Uint8Array, from: number, to: number): void {
  copyBytes(bytes, from, to, memory, length);
  length += to - from;
}

export function putText(chars: string): void {
  length += memory.bytes.write(chars, length, "latin1");
}

/** Writes any number of bytes; they may be overwritten as soon as this returns. */
export function stage(to: Receiver, bytes: Uint8Array, from: number, end: number): void {
  for (let pos = from; pos < end; ) {
    beginPut(to, 1);
    const count = Math.min(end - pos, STAGE_BYTES - length);
    put(bytes, pos, pos + count);
    pos += count;
  }
  finishPut();
}

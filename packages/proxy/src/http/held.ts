import { carve, copyBytes, elsewhere, type Memory } from "../memory.ts";
import { HELD_BYTES_MAX } from "../retry.ts";
import { stage } from "../stage.ts";
import type { Wire } from "../wire.ts";

/** Nearly every head, and most small bodies, need no more. */
const PIECE_BYTES = 4 * 1024;
/** Pieces lent at once, 4 MiB; requests beyond have memory of their own. */
const PIECES_MAX = 1_024;

const spares: Memory[] = [];
let pieces = 0;

/** What a request's next attempt needs: its head as it came, and its body since. It lies in memory lent for as long. */
export interface Held {
  /** Undefined: there can be no further attempt. */
  head: Memory | undefined;
  headLength: number;
  /** Full pieces but for the last. */
  readonly body: Memory[];
  bodyLength: number;
}

export function createHeld(): Held {
  return { head: undefined, headLength: 0, body: [], bodyLength: 0 };
}

/** Begins anew with the head `bytes[from, to)`. */
export function holdHead(held: Held, bytes: Uint8Array, from: number, to: number): void {
  held.head = borrow(to - from);
  held.headLength = to - from;
  copyBytes(bytes, from, to, held.head, 0);
}

/** The head, good until it is let go. */
export function heldHead({ head, headLength }: Held): Buffer | undefined {
  return head?.bytes.subarray(0, headLength);
}

/** Adds to the body, as long as it is not too long to be worth it. */
export function holdBody(held: Held, bytes: Uint8Array, from: number, to: number): void {
  if (held.head === undefined) return;
  if (held.bodyLength + to - from > HELD_BYTES_MAX) {
    letGo(held);
    return;
  }
  for (let pos = from; pos < to; ) {
    const at = held.bodyLength % PIECE_BYTES;
    if (at === 0) held.body.push(borrow(PIECE_BYTES));
    const count = Math.min(to - pos, PIECE_BYTES - at);
    copyBytes(bytes, pos, pos + count, held.body[held.body.length - 1] as Memory, at);
    held.bodyLength += count;
    pos += count;
  }
}

/** Sends the body as far as it has come, once more. */
export function sendHeldBody({ body, bodyLength }: Held, wire: Wire): void {
  let left = bodyLength;
  for (const { bytes } of body) {
    stage(wire, bytes, 0, Math.min(left, PIECE_BYTES));
    left -= PIECE_BYTES;
  }
}

/** There will be no further attempt. */
export function letGo(held: Held): void {
  if (held.head === undefined) return;
  giveBack(held.head);
  held.head = undefined;
  if (held.bodyLength === 0) return;
  for (const piece of held.body) giveBack(piece);
  held.body.length = 0;
  held.bodyLength = 0;
}

/** Pieces that requests hold now. */
export function lentPieces(): number {
  return pieces - spares.length;
}

function borrow(length: number): Memory {
  if (length > PIECE_BYTES) return elsewhere(length);
  const spare = spares.pop();
  if (spare !== undefined) return spare;
  if (pieces === PIECES_MAX) return elsewhere(length);
  pieces++;
  return carve(PIECE_BYTES);
}

function giveBack(piece: Memory): void {
  if (piece.at >= 0) spares.push(piece);
}

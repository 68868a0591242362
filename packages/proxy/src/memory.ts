/**
 * The most one read takes. Not much more than 32 KiB: what is read and written should stay in the core's nearest caches.
 * Bodies come in pieces that fill a power of two, and a head in front of one should not cost a read and a write of its own.
 */
export const READ_BYTES = 36 * 1024;

/** Views of more bytes than this are made anew each time: they are rare, and a view costs little beside its bytes. */
const KEPT_VIEWS = 8_192;

/**
 * What bytes pass through on their way lies in one piece: the memory reads land in, the stage, and what a retry needs.
 * A copy within one piece needs no view of either end, which costs more than the copy (25 ns instead of 90). A page of
 * it is resident once it was used.
 */
const ARENA_BYTES = 6 * 1024 * 1024;
const arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
const arenaMemory = arena.buffer;
let carved = 0;

/** A piece of memory to copy to. */
export interface Memory {
  readonly bytes: Buffer;
  /** Where it begins in the arena; -1: it lies elsewhere. */
  readonly at: number;
}

/** A new piece, for good: of the arena as long as there is room. */
export function carve(length: number): Memory {
  if (carved + length > ARENA_BYTES) return elsewhere(length);
  const at = carved;
  carved += length;
  return { bytes: arena.subarray(at, at + length), at };
}

/** A piece outside the arena, which is collected when nobody has it any more. */
export function elsewhere(length: number): Memory {
  return { bytes: Buffer.allocUnsafe(length), at: -1 };
}

/** The first `length` bytes of a piece of memory, without making a new object for each small message. */
export type FirstBytes = (length: number) => Buffer;

export function firstBytes(memory: Buffer): FirstBytes {
  const views: (Buffer | undefined)[] = new Array(KEPT_VIEWS).fill(undefined);
  return (length) => {
    if (length >= KEPT_VIEWS) return memory.subarray(0, length);
    let view = views[length];
    if (view === undefined) {
      view = memory.subarray(0, length);
      views[length] = view;
    }
    return view;
  };
}

/** What bytes are a view of. Asked for once a message: the answer for the last ones is kept, as asking costs a call. */
interface Place {
  bytes: Uint8Array;
  memory: ArrayBufferLike;
  offset: number;
  words: DataView;
}

const arenaWords = new DataView(arenaMemory);
const place: Place = { bytes: arena, memory: arenaMemory, offset: 0, words: arenaWords };

/** The place of `bytes`; good until the next call. */
export function placeOf(bytes: Uint8Array): Readonly<Place> {
  if (place.bytes === bytes) return place;
  const memory = bytes.buffer;
  if (memory !== place.memory) {
    place.memory = memory;
    place.words = memory === arenaMemory ? arenaWords : new DataView(memory);
  }
  place.bytes = bytes;
  place.offset = bytes.byteOffset;
  return place;
}

/** Below this a loop is cheaper than any call; the lines we add are shorter. */
const LOOP_BYTES = 32;

/** Copies `source[from, to)` to `target` at `at`. */
export function copyBytes(source: Uint8Array, from: number, to: number, target: Memory, at: number): void {
  const { bytes } = target;
  if (to - from < LOOP_BYTES) {
    let put = at;
    for (let pos = from; pos < to; pos++) bytes[put++] = source[pos] as number;
    return;
  }
  const { memory, offset } = placeOf(source);
  if (memory === arenaMemory && target.at >= 0) arena.copyWithin(target.at + at, offset + from, offset + to);
  else bytes.set(source.subarray(from, to), at);
}

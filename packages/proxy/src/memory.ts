/** Views of more bytes than this are made anew each time: they are rare, and a view costs little beside its bytes. */
const KEPT_VIEWS = 2_048;

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

/** Below this a loop is cheaper than making the view that `set` needs. */
const LOOP_BYTES = 192;

/** Copies `source[from, to)` to `target` at `at`. */
export function copyBytes(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): void {
  if (to - from >= LOOP_BYTES) {
    target.set(source.subarray(from, to), at);
    return;
  }
  let put = at;
  for (let pos = from; pos < to; pos++) target[put++] = source[pos] as number;
}

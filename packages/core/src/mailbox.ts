/** A one-slot hand-over between stages: the writer never waits, the newest value replaces what was not yet taken. */
export interface Mailbox<T> {
  put(value: T): void;
  /** The newest value, waiting for one if there is none; undefined once `signal` aborts. One taker at a time. */
  take(signal: AbortSignal): Promise<T | undefined>;
}

export function mailbox<T>(): Mailbox<T> {
  let slot: { readonly value: T } | undefined;
  let wake: (() => void) | undefined;
  return {
    put(value) {
      slot = { value };
      wake?.();
    },
    async take(signal) {
      while (slot === undefined && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = () => {
            signal.removeEventListener("abort", rouse);
            wake = undefined;
            resolve();
          };
          const rouse = wake;
          signal.addEventListener("abort", rouse, { once: true });
        });
      }
      // What arrived together with the abort stays for the next taker.
      if (signal.aborted) return undefined;
      const taken = slot;
      slot = undefined;
      return taken?.value;
    },
  };
}

/** A bounded queue that an async iterator drains; on overflow the iterator throws what `overflow` makes. */
export interface Channel<T> extends AsyncIterable<T> {
  push(value: T): void;
  /** Ends the iterator after what is queued; with an error, by throwing it at once. */
  end(error?: unknown): void;
}

export function channel<T>(bound: number, overflow: () => Error): Channel<T> {
  const queue: T[] = [];
  let ended: { readonly error?: unknown } | undefined;
  let wake: (() => void) | undefined;
  const rouse = (): void => {
    wake?.();
    wake = undefined;
  };
  return {
    push(value) {
      if (ended !== undefined) return;
      if (queue.length >= bound) ended = { error: overflow() };
      else queue.push(value);
      rouse();
    },
    end(error) {
      ended ??= error === undefined ? {} : { error };
      rouse();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (ended?.error !== undefined) throw ended.error;
        if (queue.length > 0) yield queue.shift() as T;
        else if (ended !== undefined) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

import { mailbox } from "@smartstack/core";

/** More than this is told as "all": keys of what comes and goes while a registry is away must not pile up. */
const KEYS_MAX = 10_000;

/** What to compare with the registry: what lies at these keys (entryKey), or everything. */
export type Scope = "all" | ReadonlySet<string>;

/** What has changed and was not compared yet. Says where to look, never what to do: marking too much does no harm. */
export interface Changes {
  mark(keys: Iterable<string>): void;
  markAll(): void;
  /** All that was marked since the last time, waiting for something if that is nothing; undefined once `signal` aborts. One taker at a time. */
  take(signal: AbortSignal): Promise<Scope | undefined>;
}

export function changes(): Changes {
  const waker = mailbox<true>();
  let marked: "all" | Set<string> = new Set();
  return {
    mark(keys) {
      for (const key of keys) {
        if (marked === "all") break;
        marked.add(key);
        if (marked.size > KEYS_MAX) marked = "all";
      }
      if (marked === "all" || marked.size > 0) waker.put(true);
    },
    markAll() {
      marked = "all";
      waker.put(true);
    },
    async take(signal) {
      if ((await waker.take(signal)) === undefined) return undefined;
      const taken = marked;
      marked = new Set();
      return taken;
    },
  };
}

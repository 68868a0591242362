import type { Cancel, Clock, Instance, InstanceState } from "@smartstack/core";

export interface KnownState {
  readonly state: InstanceState;
  /** Wall clock: when it entered the state. */
  readonly sinceMs: number;
}

/** What operators said of instances, by entryKey: kept in the documents, so that it outlives this process. */
export interface InstanceStates {
  /** The state to announce; one that nobody set is up since it was first asked for. */
  of(key: string): KnownState;
  /** The same for onlookers: asking changes nothing. */
  peek(key: string): InstanceState;
  /** `forMs`: back to up after that time. It is not kept in the document: a restarted nerve keeps the state until told otherwise. */
  set(key: string, state: InstanceState, forMs: number | undefined): void;
  /** Takes over what lies in the registry, except where something was said here already. */
  adopt(entries: ReadonlyMap<string, Instance>): void;
  /** Not announced any more: when it comes back, it is up since then. What an operator said stays. */
  withdrawn(key: string): void;
  /** Forgets instances that are gone for good. */
  retain(keep: (key: string) => boolean): void;
  stop(): void;
}

export function instanceStates(clock: Clock, onChange: (key: string) => void): InstanceStates {
  const states = new Map<string, KnownState>();
  const timers = new Map<string, Cancel>();
  const cancel = (key: string): void => {
    timers.get(key)?.();
    timers.delete(key);
  };
  const set = (key: string, state: InstanceState, forMs: number | undefined): void => {
    cancel(key);
    if (states.get(key)?.state !== state) states.set(key, { state, sinceMs: clock.now() });
    if (forMs !== undefined && state !== "up")
      timers.set(
        key,
        clock.after(forMs, () => set(key, "up", undefined)),
      );
    onChange(key);
  };
  return {
    of(key) {
      const known = states.get(key) ?? { state: "up", sinceMs: clock.now() };
      states.set(key, known);
      return known;
    },
    peek: (key) => states.get(key)?.state ?? "up",
    set,
    withdrawn(key) {
      if (states.get(key)?.state === "up") states.delete(key);
    },
    adopt(entries) {
      for (const [key, entry] of entries) {
        // "up" since now is what `of` says of an instance nobody spoke of; the registry knows better.
        if (timers.has(key) || (states.get(key)?.state ?? "up") !== "up") continue;
        states.set(key, { state: entry.state ?? "up", sinceMs: entry.since ?? clock.now() });
        onChange(key);
      }
    },
    retain(keep) {
      for (const key of [...states.keys()]) {
        if (keep(key)) continue;
        cancel(key);
        states.delete(key);
      }
    },
    stop() {
      for (const key of [...timers.keys()]) cancel(key);
    },
  };
}

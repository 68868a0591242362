import { setTimeout as pause } from "node:timers/promises";
import {
  applyBatch,
  type Batch,
  exponentialBackoff,
  type InstanceRecord,
  keepAlive,
  NO_ENTRIES,
  type NodeEntry,
  type Registry,
  type ServiceEntries,
  type Session,
  systemClock,
  systemRandom,
} from "@smartstack/core";

export interface Follower {
  state(): ServiceEntries;
  /** States after each batch, oldest first. */
  readonly history: readonly ServiceEntries[];
  readonly batches: readonly Batch[];
  resets(): number;
  names(): string[];
  stop(): Promise<void>;
}

// Quicker than the product: on a busy machine a restarted server and the longest of its waits would outlast a session of 3 s.
const backoff = exponentialBackoff({ minMs: 100, maxMs: 500 });
const keep = { clock: systemClock, random: systemRandom, backoff };

/** Watches a service the way synapse does: keepAlive around the watch, batches applied whole; `changed` after each. */
export function follow(registry: Registry, service: string, changed: () => void = () => undefined): Follower {
  const stop = new AbortController();
  const batches: Batch[] = [];
  const history: ServiceEntries[] = [];
  const current = (): ServiceEntries => history.at(-1) ?? NO_ENTRIES;
  const done = keepAlive(
    async (signal, healthy) => {
      let first = true;
      for await (const batch of registry.watch(service, signal)) {
        if (first && batch[0]?.type !== "reset") throw new Error("a watch must begin with a reset");
        first = false;
        healthy();
        batches.push(batch);
        history.push(applyBatch(current(), batch));
        changed();
      }
    },
    { ...keep, signal: stop.signal },
  );
  done.catch(() => undefined);
  return {
    state: current,
    history,
    batches,
    resets: () => batches.filter((batch) => batch[0]?.type === "reset").length,
    names: () => [...current().instances.keys()].sort(),
    async stop() {
      stop.abort();
      await Promise.race([done.catch(() => undefined), pause(2_000, undefined, { ref: false })]);
    },
  };
}

/** Follows the list of services the same way. */
export function followServices(registry: Registry): { readonly lists: readonly (readonly string[])[]; stop(): void } {
  const stop = new AbortController();
  const lists: (readonly string[])[] = [];
  keepAlive(
    async (signal) => {
      for await (const names of registry.services(signal)) lists.push(names);
    },
    { ...keep, signal: stop.signal },
  ).catch(() => undefined);
  return { lists, stop: () => stop.abort() };
}

export interface Announcer {
  session(): Session | undefined;
  readonly sessions: readonly Session[];
  /** The error that ended it for good. */
  ended(): unknown;
  stop(mode: "keep" | "withdraw"): Promise<void>;
}

/** Announces the way nerve does: what is wanted is restored whenever the session is lost, and repaired when foreigners touch it. */
export function announcer(
  registry: Registry,
  owner: NodeEntry,
  wanted: () => readonly InstanceRecord[],
  repair: (session: Session) => void = (session) => {
    for (const record of wanted()) session.put(record).catch(() => undefined);
  },
): Announcer {
  const stop = new AbortController();
  const sessions: Session[] = [];
  let ended: unknown;
  keepAlive(
    async (signal, healthy) => {
      const session = await registry.announce(owner, wanted(), signal);
      healthy();
      sessions.push(session);
      session.onForeignChange(() => repair(session));
      await new Promise((resolve) => {
        session.lost.addEventListener("abort", resolve);
        signal.addEventListener("abort", resolve);
        if (session.lost.aborted) resolve(undefined);
      });
      if (session.lost.aborted) throw session.lost.reason;
    },
    { ...keep, signal: stop.signal },
  ).catch((error: unknown) => {
    ended = error;
  });
  return {
    session: () => sessions.at(-1),
    sessions,
    ended: () => ended,
    async stop(mode) {
      stop.abort();
      await sessions.at(-1)?.close(mode);
    },
  };
}

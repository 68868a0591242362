import { encodeNodeEntry, type InstanceRecord, type NodeEntry, type Registry, StackError } from "@smartstack/core";
import { z } from "zod";
import { namesAnother } from "./claims.ts";
import { type Changes, type Held, nodePath } from "./contents.ts";
import type { Driver, RegistryDeps } from "./driver.ts";
import { type Link, link } from "./link.ts";
import { mirror, type Source, watchLost } from "./mirror.ts";
import { rejecter } from "./rejecter.ts";
import { assertNotTakenOver, type Holder, openSession, refused } from "./session.ts";
import { takeOver, unclaimed } from "./take-over.ts";

/** What several memory registries of one process share: the place of a server. */
export interface MemoryStore {
  readonly entries: ReadonlyMap<string, Held>;
  /** How many commits there have been. */
  revision(): number;
  /** @throws StackError REGISTRY_UNREACHABLE while it is away. */
  commit(changes: Changes): void;
  /** Away: watches break and calls fail. Changes by `force` go on, as they do on a server that one client cannot reach. */
  setAway(away: boolean): void;
  force(changes: Changes): void;
  /** @throws StackError REGISTRY_UNREACHABLE while it is away. */
  subscribe(subscriber: { changed(changes: Changes): void; away(): void }): () => void;
}

export function memoryStore(): MemoryStore {
  const entries = new Map<string, Held>();
  const subscribers = new Set<{ changed(changes: Changes): void; away(): void }>();
  let away = false;
  let revision = 0;
  const assertHere = (): void => {
    if (away)
      throw new StackError("REGISTRY_UNREACHABLE", "the store is away", { side: "registry", retry: "after-backoff" });
  };
  const force = (changes: Changes): void => {
    revision++;
    for (const [path, held] of changes) {
      if (held === undefined) entries.delete(path);
      else entries.set(path, held);
    }
    for (const subscriber of [...subscribers]) subscriber.changed(changes);
  };
  return {
    entries,
    revision: () => revision,
    force,
    commit(changes) {
      assertHere();
      force(changes);
    },
    setAway(next) {
      away = next;
      if (!away) return;
      for (const subscriber of [...subscribers]) subscriber.away();
      subscribers.clear();
    },
    subscribe(subscriber) {
      assertHere();
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
  };
}

/** The reference: what every other driver has to look like from outside. Entries live as long as the process. */
export function memoryRegistry(deps: RegistryDeps, store: MemoryStore = memoryStore()): Registry {
  const state = link(deps.clock, "memory", "this process");
  const copies = mirror(sourceOf(store, state), state, rejecter(deps.events), deps);
  const announced = new Set<string>();
  return {
    type: "memory",
    async announce(owner, restore, signal) {
      const copy = await copies.join(signal);
      const path = nodePath(owner.node);
      assertNotTakenOver(owner, announced.has(owner.boot), store.entries.get(path)?.text);
      const written = announceChanges(owner, unclaimed(restore, owner, copy), store);
      await state.writing(commit(store, written));
      announced.add(owner.boot);
      state.up();
      const lost = new AbortController();
      const holder = holderOf(owner, store);
      return openSession({ owner, copy, holder, written, lost, link: state, clock: deps.clock });
    },
    watch: (service, signal) => copies.watch(service, signal),
    services: (signal) => copies.services(signal),
    status() {
      // What is in memory needs no other proof than that it is reached.
      if (state.status().connected) state.proved(store.revision());
      return state.status();
    },
    close: () => copies.close(),
  };
}

/** What throws becomes a promise that rejects. */
async function commit(store: MemoryStore, changes: Changes): Promise<void> {
  store.commit(changes);
}

function announceChanges(owner: NodeEntry, restore: readonly InstanceRecord[], store: MemoryStore): Changes {
  const writes = takeOver(owner, restore, store.entries, undefined);
  const changes = new Map<string, Held>(writes.map(({ path, text }) => [path, { text }]));
  return changes.set(nodePath(owner.node), { text: encodeNodeEntry(owner) });
}

function holderOf(owner: NodeEntry, store: MemoryStore): Holder {
  const text = encodeNodeEntry(owner);
  const path = nodePath(owner.node);
  const assertOwned = (): void => {
    const found = store.entries.get(path)?.text;
    if (found !== text) throw refused(owner, found);
  };
  return {
    async write(at, body) {
      assertOwned();
      store.commit(new Map([[at, { text: body }]]));
    },
    async erase(at) {
      assertOwned();
      const found = store.entries.get(at);
      if (found !== undefined && !namesAnother(owner, found.text)) store.commit(new Map([[at, undefined]]));
    },
    verify: async () => assertOwned(),
    async withdraw(paths) {
      assertOwned();
      store.commit(new Map(paths.map((at) => [at, undefined])));
      store.commit(new Map([[path, undefined]]));
    },
    renew: async () => undefined,
    stop: () => undefined,
  };
}

function sourceOf(store: MemoryStore, state: Link): Source {
  return (sink, signal) =>
    new Promise<void>((resolve, reject) => {
      const leave = store.subscribe({
        changed: (changes) => sink.apply(changes),
        away() {
          state.proved(store.revision());
          reject(watchLost("the store went away"));
        },
      });
      signal.addEventListener("abort", () => {
        leave();
        resolve();
      });
      sink.reset(new Map(store.entries));
    });
}

export const memory: Driver<{ readonly type: "memory" }> = {
  config: z.strictObject({ type: z.literal("memory") }),
  open: async (_, deps) => memoryRegistry(deps),
};

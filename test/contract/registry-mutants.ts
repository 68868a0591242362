import { setTimeout as pause } from "node:timers/promises";
import type { Batch, Registry, Update } from "@smartstack/core";

/** Ways in which a registry can be subtly wrong. The conformance suite must notice every one of them. */
export const MUTANTS: Readonly<Record<string, (registry: Registry) => Registry>> = {
  "drops every 10th update": (registry) => withWatch(registry, dropEveryTenth),
  "replays an earlier batch": (registry) => withWatch(registry, replay),
  "swaps the order of updates": (registry) => withWatch(registry, swap),
  "never resets after a reconnect": neverResetsAgain,
  "tears a batch into single updates": (registry) => withWatch(registry, tear),
  "forgets what was left behind": forgetsLeftovers,
  "ignores fencing": ignoresFencing,
  "removes what it cannot see during an outage": (registry) => withWatch(registry, emptiesOnOutage),
};

type Mutate = (batches: AsyncIterable<Batch>) => AsyncIterable<Batch>;

function withWatch(registry: Registry, mutate: Mutate): Registry {
  return { ...registry, watch: (service, signal) => mutate(registry.watch(service, signal)) };
}

async function* dropEveryTenth(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  let count = 0;
  for await (const batch of batches) yield batch.filter((update) => update.type === "reset" || ++count % 10 !== 0);
}

async function* replay(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  let before: Batch | undefined;
  for await (const batch of batches) {
    yield batch;
    if (before !== undefined && before[0]?.type !== "reset") yield before;
    before = batch;
  }
}

async function* tear(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  for await (const batch of batches) for (const update of batch) yield [update];
}

async function* emptiesOnOutage(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  try {
    yield* batches;
  } catch (error) {
    yield [{ type: "reset", entries: [] }];
    throw error;
  }
}

/** Two that come within 20 ms change places. */
async function* swap(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  const iterator = batches[Symbol.asyncIterator]();
  let next = iterator.next();
  try {
    for (;;) {
      const first = await next;
      if (first.done === true) return;
      next = iterator.next();
      next.catch(() => undefined);
      const second = first.value[0]?.type === "reset" ? undefined : await Promise.race([next, pause(20)]);
      if (second !== undefined && second !== null && "value" in second && second.done !== true) {
        next = iterator.next();
        next.catch(() => undefined);
        yield second.value;
      }
      yield first.value;
    }
  } finally {
    await iterator.return?.();
  }
}

function neverResetsAgain(registry: Registry): Registry {
  let watched = false;
  const asPuts = (update: Update): Batch =>
    update.type === "reset"
      ? [{ type: "reset", entries: [] }, ...update.entries.map((entry) => ({ type: "put", entry }) as const)]
      : [update];
  return withWatch(registry, async function* (batches) {
    for await (const batch of batches) {
      if (!watched || batch[0]?.type !== "reset") yield batch;
      // It begins as a watch must, but what is gone stays: the puts come without what they replace.
      else yield* [batch.flatMap(asPuts).slice(1)].filter((rest) => rest.length > 0);
      watched = true;
    }
  });
}

function forgetsLeftovers(registry: Registry): Registry {
  return {
    ...registry,
    async announce(owner, restore, signal) {
      const session = await registry.announce(owner, restore, signal);
      const kept = new Set(restore.map(({ service, id }) => `${service}/${id}`));
      for (const key of session.entries().keys()) {
        const [service = "", id = ""] = key.split("/");
        if (!kept.has(key)) await session.drop(service, id);
      }
      return session;
    },
  };
}

function ignoresFencing(registry: Registry): Registry {
  return {
    ...registry,
    async announce(owner, restore, signal) {
      const session = await registry.announce(owner, restore, signal);
      return {
        ...session,
        lost: new AbortController().signal,
        put: (record) => session.put(record).catch(() => undefined),
      };
    },
  };
}

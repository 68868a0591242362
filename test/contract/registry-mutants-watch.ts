import { setTimeout as pause } from "node:timers/promises";
import { applyBatch, type Batch, type Entry, NO_ENTRIES, type Registry, type Update } from "@smartstack/core";
import type { RegistryBench } from "./registry-harness.ts";
import type { Mutant } from "./registry-mutants.ts";

type Batches = AsyncIterable<Batch>;
type Mutate = (batches: Batches, signal: AbortSignal, registry: Registry, bench: RegistryBench) => Batches;

const HANG = new Promise<never>(() => undefined);

export function withWatch(mutate: Mutate): Mutant["wrap"] {
  return (registry, bench) => ({
    ...registry,
    watch: (service, signal) => mutate(registry.watch(service, signal), signal, registry, bench),
  });
}

function withServices(mutate: (lists: AsyncIterable<readonly string[]>) => AsyncIterable<readonly string[]>) {
  return (registry: Registry): Registry => ({ ...registry, services: (signal) => mutate(registry.services(signal)) });
}

/** Changes each entry, or takes it away. */
export function withEntries(change: (entry: Entry, index: number) => Entry | undefined): Mutant["wrap"] {
  const changed = (update: Update): Update[] => {
    if (update.type === "drop") return [update];
    if (update.type === "reset")
      return [{ type: "reset", entries: update.entries.flatMap((entry, index) => change(entry, index) ?? []) }];
    const entry = change(update.entry, 0);
    return entry === undefined ? [] : [{ type: "put", entry }];
  };
  return withWatch(async function* (batches) {
    for await (const batch of batches) {
      const mutated = batch.flatMap(changed);
      if (mutated.length > 0) yield mutated;
    }
  });
}

async function* dropEveryTenth(batches: Batches): Batches {
  let count = 0;
  for await (const batch of batches) yield batch.filter((update) => update.type === "reset" || ++count % 10 !== 0);
}

async function* replay(batches: Batches): Batches {
  let before: Batch | undefined;
  for await (const batch of batches) {
    yield batch;
    if (before !== undefined && before[0]?.type !== "reset") yield before;
    before = batch;
  }
}

async function* tear(batches: Batches): Batches {
  for await (const batch of batches) for (const update of batch) yield [update];
}

async function* tearNodeFirst(batches: Batches): Batches {
  const isNode = (update: Update): boolean => update.type === "put" && update.entry.kind === "node";
  for await (const batch of batches) {
    const [nodes, others] = [batch.filter(isNode), batch.filter((update) => !isNode(update))];
    for (const part of [nodes, others]) if (part.length > 0) yield part;
  }
}

async function* emptyOnOutage(batches: Batches): Batches {
  try {
    yield* batches;
  } catch (error) {
    yield [{ type: "reset", entries: [] }];
    throw error;
  }
}

async function* goDeaf<T>(news: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* news;
  } catch {
    await HANG;
  }
}

/** Two that come within 20 ms change places. */
async function* swap(batches: Batches): Batches {
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

/** What comes while its reader is busy is lost. */
async function* loseWhileBusy(batches: Batches): Batches {
  let newest: { readonly batch: Batch } | undefined;
  let wake: (() => void) | undefined;
  let ended: { readonly error?: unknown } | undefined;
  const pumping = (async () => {
    for await (const batch of batches) {
      if (wake === undefined && newest !== undefined) continue;
      newest = { batch };
      wake?.();
      wake = undefined;
    }
  })();
  pumping.then(
    () => {
      ended = {};
      wake?.();
    },
    (error) => {
      ended = { error };
      wake?.();
    },
  );
  for (;;) {
    if (newest === undefined && ended === undefined) await new Promise<void>((resolve) => (wake = resolve));
    if (newest !== undefined) {
      yield newest.batch;
      newest = undefined;
    } else if (ended !== undefined) {
      if ("error" in ended) throw ended.error;
      return;
    }
  }
}

const neverResetAgain: Mutant["wrap"] = (registry, bench) => {
  let watched = false;
  const asPuts = (update: Update): Batch =>
    update.type === "reset"
      ? [{ type: "reset", entries: [] }, ...update.entries.map((entry) => ({ type: "put", entry }) as const)]
      : [update];
  return withWatch(async function* (batches) {
    for await (const batch of batches) {
      if (!watched || batch[0]?.type !== "reset") yield batch;
      // It begins as a watch must, but what is gone stays: the puts come without what they replace.
      else yield* [batch.flatMap(asPuts).slice(1)].filter((rest) => rest.length > 0);
      watched = true;
    }
  })(registry, bench);
};

async function* allAgain(batches: Batches): Batches {
  let state = NO_ENTRIES;
  for await (const batch of batches) {
    state = applyBatch(state, batch);
    const instances = [...state.instances].map(([id, instance]) => ({ kind: "instance", id, instance }) as const);
    const nodes = [...state.nodes].map(([id, node]) => ({ kind: "node", id, node }) as const);
    yield [{ type: "reset", entries: [...instances, ...nodes] }];
  }
}

export const WATCH_MUTANTS: Readonly<Record<string, Mutant>> = {
  "drops every 10th update": {
    wrap: withWatch(dropEveryTenth),
    fails: ["a hundred changes at once all arrive", "two watchers see the same"],
  },
  "replays an earlier batch": { wrap: withWatch(replay), fails: ["applies updates in order, each once"] },
  "swaps the order of updates": { wrap: withWatch(swap), fails: ["applies updates in order, each once"] },
  "never resets after a reconnect": {
    wrap: neverResetAgain,
    fails: ["what changed during an outage arrives with a reset"],
  },
  "tears a batch into single updates": {
    wrap: withWatch(tear),
    fails: ["a take-over adopts leftovers without a gap", "an owner killed with -9 is gone in time, as one batch"],
    nodeless: ["an owner killed with -9 is gone in time, as one batch"],
  },
  "shows a node before its instances": {
    wrap: withWatch(tearNodeFirst),
    fails: ["a thousand instances"],
    nodeless: [],
  },
  "removes what it cannot see during an outage": {
    wrap: withWatch(emptyOnOutage),
    fails: ["a server restart ends in a reset with the truth"],
  },
  "goes deaf after an outage": {
    wrap: withWatch(goDeaf),
    fails: ["a server restart ends in a reset with the truth", "what changed during an outage arrives with a reset"],
  },
  "its list of services goes deaf after an outage": {
    wrap: withServices(goDeaf),
    fails: ["the list of services comes back after an outage"],
  },
  "loses what comes while its reader is busy": {
    wrap: withWatch(loseWhileBusy),
    fails: ["a slow watcher misses nothing"],
  },
  "sends all again with each change": { wrap: withWatch(allAgain), fails: ["one change is one update"] },
  "sends empty batches": {
    wrap: withWatch(async function* (batches) {
      for await (const batch of batches) yield* [batch, []];
    }),
    fails: ["dropping what is not there reaches nobody"],
  },
  "says nothing until there is something": {
    wrap: withWatch(async function* (batches) {
      for await (const batch of batches) {
        const [first] = batch;
        if (first?.type !== "reset" || first.entries.length > 0) yield batch;
      }
    }),
    fails: ["watches from nothing"],
  },
  "begins with nothing, whatever there is": {
    wrap: withWatch(async function* (batches) {
      for await (const batch of batches) yield batch[0]?.type === "reset" ? [{ type: "reset", entries: [] }] : batch;
    }),
    fails: ["watches from what exists"],
  },
  "reads 500 instances at most": {
    wrap: withEntries((entry, index) => (index < 500 ? entry : undefined)),
    fails: ["a thousand instances"],
  },
  "forgets zeros and labels": {
    wrap: withEntries((entry) => {
      if (entry.kind === "node") return entry;
      const { labels: _, weight, ...instance } = entry.instance;
      return { ...entry, instance: weight ? { ...instance, weight } : instance };
    }),
    fails: ["a document keeps every key, Unicode and zeros"],
  },
  "forgets a node's host": {
    wrap: withEntries((entry) => (entry.kind === "node" ? { ...entry, node: { ...entry.node, host: "" } } : entry)),
    fails: ["a node entry arrives as it was announced"],
  },
  "keeps nodes to itself": {
    wrap: withEntries((entry) => (entry.kind === "node" ? undefined : entry)),
    fails: ["node entries reach the watchers of every service"],
  },
  "cuts a service's name at the first sign": {
    wrap: (registry) => ({
      ...registry,
      watch: (service, signal) => registry.watch(service.split(/[-.]/)[0] ?? "", signal),
    }),
    fails: ["services of similar names stay apart"],
  },
  "hangs when a watch is aborted": {
    wrap: withWatch(async function* (batches, signal) {
      yield* batches;
      if (signal.aborted) await HANG;
    }),
    fails: ["an aborted watch ends at once"],
  },
  "yields once though it was aborted": {
    wrap: withWatch(async function* (batches, signal) {
      if (signal.aborted) yield [{ type: "reset", entries: [] }];
      yield* batches;
    }),
    fails: ["a watch that begins aborted yields nothing"],
  },
  "ends all watches with the first": {
    wrap: withWatch(async function* (batches, _, registry) {
      try {
        yield* batches;
      } finally {
        await registry.close();
      }
    }),
    fails: ["a stopped watcher gets nothing more, the others all", "breaking out of a watch lets go of it"],
  },
  "lists services in no order": {
    wrap: withServices(async function* (lists) {
      for await (const names of lists) yield [...names].reverse();
    }),
    fails: ["the list of services is sorted, and told on change only"],
  },
  "lists services again and again": {
    wrap: withServices(async function* (lists) {
      for await (const names of lists) yield* [names, names];
    }),
    fails: ["the list of services is sorted, and told on change only"],
  },
  "never forgets a service": {
    wrap: withServices(async function* (lists) {
      const known = new Set<string>();
      for await (const names of lists) {
        for (const name of names) known.add(name);
        yield [...known].sort();
      }
    }),
    fails: ["a service goes with its last instance and comes back", "lists services"],
  },
};

import { type Batch, channel, exponentialBackoff, isStackError, mailbox, StackError, sleep } from "@smartstack/core";
import { type Changes, type Contents, contents, type Delta, type Held, type Reject } from "./contents.ts";
import type { RegistryDeps } from "./driver.ts";
import type { Link } from "./link.ts";

/** How many batches a watcher may be behind before it has to begin anew. */
const BATCHES_MAX = 10_000;

const CLOSE_MS_MAX = 1_500;

/**
 * The least time between the end of a source and the next one's beginning. Each watcher comes again after a time of its
 * own, and the first of a thousand comes at once: a server that is away saw a hundred attempts a second from one process.
 */
const REST = exponentialBackoff({ minMs: 50, maxMs: 1_000 });
/** A source that lived this long was well. */
const STEADY_MS = 10_000;

type Deps = Pick<RegistryDeps, "clock" | "random">;

/** Where a source reports to: everything once, then each change. */
export interface Sink {
  reset(all: ReadonlyMap<string, Held>): void;
  /** What became true at one moment. */
  apply(changes: Changes): void;
}

/** Reads everything under the prefix, then follows its changes until `signal` aborts. Throws on any doubt. */
export type Source = (sink: Sink, signal: AbortSignal) => Promise<void>;

export interface Subscriber {
  changed(changes: Changes, delta: Delta): void;
  ended(error: StackError): void;
}

/** One copy of the registry's contents, in force from its source's reset to its source's end. */
export interface Copy {
  readonly contents: Contents;
  /** Returns the unsubscribe function. @throws StackError when the copy has ended. */
  subscribe(subscriber: Subscriber): () => void;
}

/**
 * The one watch of a driver object, shared by all who watch: etcd and ZooKeeper report what became true at one moment
 * to one watch together, which separate watches would tear apart.
 */
export interface Mirror {
  /** The present copy, once it is complete; begins one when there is none. @throws StackError REGISTRY_* */
  join(signal: AbortSignal): Promise<Copy>;
  watch(service: string, signal: AbortSignal): AsyncGenerator<Batch, void, undefined>;
  services(signal: AbortSignal): AsyncGenerator<readonly string[], void, undefined>;
  /** Ends the present copy: everybody who watches throws, and comes again. */
  fail(error: StackError): void;
  close(): Promise<void>;
}

interface Run {
  readonly copy: Promise<Copy>;
  readonly done: Promise<void>;
  end(error: StackError): void;
}

export function mirror(source: Source, link: Link, reject: Reject, deps: Deps): Mirror {
  const { clock } = deps;
  const spaced = spacing(source, deps);
  let current: Run | undefined;
  let closed: StackError | undefined;

  const join = (signal: AbortSignal): Promise<Copy> => {
    if (closed !== undefined) return Promise.reject(closed);
    if (current === undefined) {
      const run = begin(spaced, link, reject);
      current = run;
      void run.done.then(() => {
        if (current === run) current = undefined;
      });
    }
    return untilAborted(current.copy, signal);
  };

  const joinUnlessAborted = (signal: AbortSignal): Promise<Copy | undefined> =>
    join(signal).catch((error: unknown) => {
      if (signal.aborted) return undefined;
      throw error;
    });

  return {
    join,
    async *watch(service, signal) {
      const copy = await joinUnlessAborted(signal);
      if (copy !== undefined) yield* batchesOf(copy, service, signal);
    },
    async *services(signal) {
      const copy = await joinUnlessAborted(signal);
      if (copy !== undefined) yield* namesOf(copy, signal);
    },
    fail: (error) => current?.end(error),
    async close() {
      closed ??= closedError();
      const run = current;
      run?.end(closed);
      if (run === undefined) return;
      // What a source has under way ends by its own deadlines; nobody waits for those.
      const waited = new AbortController();
      await Promise.race([run.done, sleep(clock, CLOSE_MS_MAX, waited.signal)]);
      waited.abort();
    },
  };
}

/** The same source, which begins at once the first time, and after a rest whenever it has ended. */
function spacing(source: Source, { clock, random }: Deps): Source {
  let rest = REST;
  let notBeforeMs = clock.monotonic();
  const begin: Source = async (sink, signal) => {
    const beganMs = clock.monotonic();
    try {
      await source(sink, signal);
    } finally {
      const endedMs = clock.monotonic();
      if (endedMs - beganMs >= STEADY_MS) rest = REST;
      notBeforeMs = endedMs + rest.delayMs(random);
      rest = rest.next();
    }
  };
  return async (sink, signal) => {
    const restMs = notBeforeMs - clock.monotonic();
    if (restMs > 0) await sleep(clock, restMs, signal);
    if (!signal.aborted) await begin(sink, signal);
  };
}

async function* batchesOf(copy: Copy, service: string, signal: AbortSignal): AsyncGenerator<Batch, void, undefined> {
  const batches = channel<Batch>(BATCHES_MAX, () => watchLost(`the watcher of ${service} fell behind`));
  batches.push([{ type: "reset", entries: copy.contents.entriesOf(service) }]);
  const leave = copy.subscribe({
    changed: (_, delta) => {
      const batch = [...delta.nodes, ...(delta.services.get(service) ?? [])];
      if (batch.length > 0) batches.push(batch);
    },
    ended: (error) => batches.end(error),
  });
  const end = (): void => batches.end();
  signal.addEventListener("abort", end, { once: true });
  try {
    if (signal.aborted) return;
    for await (const batch of batches) {
      if (signal.aborted) return;
      yield batch;
    }
  } finally {
    signal.removeEventListener("abort", end);
    leave();
  }
}

async function* namesOf(copy: Copy, signal: AbortSignal): AsyncGenerator<readonly string[], void, undefined> {
  const newest = mailbox<readonly string[] | StackError>();
  newest.put(copy.contents.serviceNames());
  const leave = copy.subscribe({
    changed: (_, delta) => {
      if (delta.namesChanged) newest.put(copy.contents.serviceNames());
    },
    ended: (error) => newest.put(error),
  });
  try {
    for (;;) {
      const names = await newest.take(signal);
      if (names === undefined) return;
      if (names instanceof StackError) throw names;
      yield names;
    }
  } finally {
    leave();
  }
}

function begin(source: Source, link: Link, reject: Reject): Run {
  const stop = new AbortController();
  const subscribers = new Set<Subscriber>();
  const held = contents(reject);
  let resolveLoaded: (copy: Copy) => void = () => undefined;
  let rejectLoaded: (error: StackError) => void = () => undefined;
  const loaded = new Promise<Copy>((resolve, reject) => {
    resolveLoaded = resolve;
    rejectLoaded = reject;
  });
  let ended: StackError | undefined;

  const end = (error: StackError): void => {
    if (ended !== undefined) return;
    ended = error;
    stop.abort();
    rejectLoaded(error);
    for (const subscriber of [...subscribers]) subscriber.ended(error);
    subscribers.clear();
    link.down(error);
  };
  const copy: Copy = {
    contents: held,
    subscribe(subscriber) {
      if (ended !== undefined) throw ended;
      subscribers.add(subscriber);
      return () => subscribers.delete(subscriber);
    },
  };
  const sink: Sink = {
    reset(all) {
      if (ended !== undefined) return;
      held.apply(all);
      link.told("everything");
      resolveLoaded(copy);
    },
    apply(changes) {
      if (ended !== undefined) return;
      const delta = held.apply(changes);
      link.told("changes");
      for (const subscriber of [...subscribers]) subscriber.changed(changes, delta);
    },
  };
  // Whoever joined gets this rejection; nobody joining is no reason to end the process.
  loaded.catch(() => undefined);
  const done = source(sink, stop.signal).then(
    () => end(watchLost("the watch ended")),
    (error: unknown) => end(asWatchError(error)),
  );
  return { copy: loaded, done, end };
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(closedError());
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(closedError());
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

export function watchLost(reason: string, cause?: unknown): StackError {
  return new StackError("REGISTRY_WATCH_LOST", reason, { side: "registry", retry: "after-backoff", cause });
}

export function closedError(): StackError {
  return new StackError("CLOSED", "the registry was closed", { side: "self", retry: "never" });
}

function asWatchError(error: unknown): StackError {
  return isStackError(error) ? error : watchLost("the watch broke", error);
}

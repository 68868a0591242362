import { strict as assert } from "node:assert";
import { type InstanceRecord, keepAlive, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { owner, record, records } from "./registry-case.ts";
import { announcer, type Follower, follow } from "./registry-follower.ts";

/** One writer that never rests, and watchers that must be able to explain all they saw by what it wrote. */
export interface Churn {
  /** Resolves when every watcher has seen a write that began after the call; that long the slowest took, in ms. */
  caughtUp(timeoutMs: number): Promise<number>;
  /** The longest that a watcher has been behind what was written, and that no write got through, so far; in ms. */
  longest(): { readonly blindMs: number; readonly writeLessMs: number };
  /** Ends writer and watchers. @throws AssertionError for whatever a watcher saw that was not so. */
  stop(): Promise<{ readonly writes: number; readonly batches: number; readonly losses: number }>;
}

const SERVICE = "churn";
const STEADY = 10;
const EVERY_MS = 50;

/** @param openRegistry a driver object of its own for each of them; 0 is the writer's. */
export async function churn(openRegistry: (index: number) => Promise<Registry>, watchers = 4): Promise<Churn> {
  const registries = await Promise.all(Array.from({ length: watchers + 1 }, (_, index) => openRegistry(index)));
  const [writing, ...watching] = registries as [Registry, ...Registry[]];
  const seen = watching.map((registry) => watcher(registry));
  const steady = records(SERVICE, STEADY);
  const counter = (count: number): InstanceRecord => record(SERVICE, "counter", count);
  let count = 1;
  const announced = new Set<number>();
  const wanted = (): InstanceRecord[] => {
    announced.add(count);
    return [...steady, counter(count)];
  };
  const nerve = announcer(writing, owner("node-w", "b1"), wanted);
  await until(() => seen.every(({ follower }) => follower.names().length === STEADY + 1), {
    what: "all see the writer",
  });

  const stopWriting = new AbortController();
  const writtenMs: number[] = [];
  /** What got no answer may lie somewhere on its way, and come behind later writes: no registry promises otherwise. */
  const mayComeLate = (written: number): boolean => announced.has(written) || writtenMs[written] === undefined;
  const written = keepAlive(
    async (signal) => {
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
        if (signal.aborted) return;
        const next = ++count;
        await nerve.session()?.put(counter(next));
        writtenMs[next] = performance.now();
      }
    },
    { clock: systemClock, random: systemRandom, signal: stopWriting.signal },
  );

  return {
    async caughtUp(timeoutMs) {
      const fromMs = performance.now();
      // The write under way may have been sent before.
      const wantedCount = count + 2;
      const behind = (): boolean => seen.some(({ newest }) => newest() < wantedCount);
      await until(() => !behind(), { what: `every watcher at ${wantedCount}`, timeoutMs });
      return performance.now() - fromMs;
    },
    longest: () => ({
      blindMs: Math.max(...seen.map(({ seenMs }) => longestBlindness(writtenMs, seenMs))),
      writeLessMs: longestGap(writtenMs.filter((ms) => ms !== undefined)),
    }),
    async stop() {
      stopWriting.abort();
      await written;
      await nerve.session()?.put(counter(++count));
      await until(() => seen.every(({ newest }) => newest() === count), { what: "the last write is seen by all" });
      const losses = seen.map(({ follower }) => explain(follower, count, mayComeLate));
      await nerve.stop("withdraw");
      await Promise.all(seen.map(({ follower }) => follower.stop()));
      await Promise.all(registries.map((registry) => registry.close()));
      const batches = seen.reduce((sum, { follower }) => sum + follower.batches.length, 0);
      return { writes: writtenMs.filter((ms) => ms !== undefined).length, batches, losses: Math.max(...losses) };
    },
  };
}

function watcher(registry: Registry): { follower: Follower; seenMs: number[]; newest: () => number } {
  const seenMs: number[] = [];
  const newest = (): number => follower.state().instances.get("counter")?.port ?? 0;
  const follower = follow(registry, SERVICE, () => {
    seenMs[newest()] ??= performance.now();
  });
  return { follower, seenMs, newest };
}

/** How long at most after a write its watcher had still seen neither it nor a later one. */
function longestBlindness(writtenMs: readonly number[], seenMs: readonly number[]): number {
  let longest = 0;
  let knownMs = Number.POSITIVE_INFINITY;
  for (let count = Math.max(writtenMs.length, seenMs.length) - 1; count > 0; count--) {
    knownMs = Math.min(knownMs, seenMs[count] ?? knownMs);
    const ms = writtenMs[count];
    if (ms !== undefined) longest = Math.max(longest, Math.min(knownMs, performance.now()) - ms);
  }
  return longest;
}

function longestGap(times: readonly number[]): number {
  return times.reduce((longest, ms, index) => Math.max(longest, ms - (times[index - 1] ?? ms)), 0);
}

/** Every state must be one that the writer made: all of it or, when its session ended, nothing. Returns how often that was. */
function explain({ history }: Follower, last: number, mayComeLate: (count: number) => boolean): number {
  let before = 0;
  let losses = 0;
  const begun = history.findIndex(({ instances }) => instances.size > 0);
  for (const { instances, nodes } of history.slice(begun)) {
    if (instances.size === 0) {
      assert.equal(
        nodes.size,
        0,
        "instances went while their node's entry stayed: that is a withdrawal, and there was none",
      );
      losses++;
      continue;
    }
    const steady = [...instances.keys()].filter((id) => id.startsWith(`${SERVICE}-`));
    assert.equal(steady.length, STEADY, "an instance that nobody withdrew is missing");
    const count = instances.get("counter")?.port ?? assert.fail("the counter is missing");
    assert.ok(count >= before || mayComeLate(count), `${count} was seen after ${before}`);
    assert.ok(count <= last, `${count} was never written`);
    before = Math.max(before, count);
  }
  return losses;
}

import { strict as assert } from "node:assert";
import {
  type Batch,
  entryKey,
  type InstanceRecord,
  isStackError,
  type NodeEntry,
  type Registry,
  type Session,
  type Update,
} from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import { type Announcer, announcer, type Follower, follow } from "./registry-follower.ts";
import type { RegistryBench, RegistryHarness } from "./registry-harness.ts";

/** What a case works with. All it opens is closed behind it. */
export interface CaseContext {
  readonly bench: RegistryBench;
  readonly ttlMs: number;
  readonly goneMs: number;
  /** How long to wait for what must happen soon, milliseconds. */
  readonly waitMs: number;
  /** The layout knows no node entries. */
  readonly nodeless: boolean;
  /** `ttlMs`: what the kind of registry is asked for, unless given. */
  open(ttlMs?: number): Promise<Registry>;
  defer(cleanup: () => Promise<unknown> | unknown): void;
}

/** A plain function, so that a test of the suite itself can run it against broken registries. */
export interface RegistryCase {
  readonly name: string;
  readonly run: (context: CaseContext) => Promise<void>;
}

/** A lease that outlasts a server's restart on a busy machine, and the waits of those who come back to it. */
export const OUTLASTING_MS = 10_000;

export const NEVER: AbortSignal = new AbortController().signal;

export function owner(node: string, boot: string): NodeEntry {
  return { node, boot, since: 1_790_000_000_000, host: `${node}.test` };
}

export function record(service: string, id: string, port: number): InstanceRecord {
  return { service, id, instance: { host: "127.0.0.1", port, id } };
}

/** `count` instances of one service: web-0 … */
export function records(service: string, count: number): InstanceRecord[] {
  return Array.from({ length: count }, (_, index) => record(service, `${service}-${index}`, 10_000 + index));
}

export function idsOf(list: readonly InstanceRecord[]): string[] {
  return list.map(({ id }) => id).sort();
}

export function followed(context: CaseContext, registry: Registry, service: string): Follower {
  const follower = follow(registry, service);
  context.defer(() => follower.stop());
  return follower;
}

export function announced(
  context: CaseContext,
  registry: Registry,
  node: NodeEntry,
  wanted: () => readonly InstanceRecord[],
): Announcer {
  const nerve = announcer(registry, node, wanted);
  context.defer(() => nerve.stop("keep"));
  return nerve;
}

export interface Scene {
  readonly session: Session;
  /** The registry object that the session belongs to. */
  readonly registry: Registry;
  /** Watches `web` by a registry object of its own. */
  readonly follower: Follower;
}

/** node-a, with what it announced already seen by a watcher of `web`. */
export async function scene(
  context: CaseContext,
  restore: readonly InstanceRecord[],
  node = owner("node-a", "b1"),
): Promise<Scene> {
  const registry = await context.open();
  const session = await registry.announce(node, restore, NEVER);
  const follower = followed(context, await context.open(), "web");
  const ids = restore.filter(({ service }) => service === "web").map(({ id }) => id);
  await soon(context, "announced", () => {
    const { instances, nodes } = follower.state();
    return (context.nodeless || nodes.has(node.node)) && ids.every((id) => instances.has(id));
  });
  return { session, registry, follower };
}

/**
 * Follows `web` by this registry object's own watch, once that shows what was announced by it: what it announces next builds
 * on what it has seen, and is refused, to be tried again, when it has not seen its own writes yet.
 */
export async function caughtUp(
  context: CaseContext,
  registry: Registry,
  all: readonly InstanceRecord[],
): Promise<Follower> {
  const own = followed(context, registry, "web");
  await soon(context, "its own watch shows it", () => own.names().join() === idsOf(all).join());
  return own;
}

/** Does a watcher see the entries of these nodes, and no others? Where the layout has none, there is nothing to wait for. */
export function nodesAre({ nodeless }: CaseContext, follower: Follower, ...nodes: readonly string[]): boolean {
  return nodeless || [...follower.state().nodes.keys()].sort().join() === nodes.join();
}

/** Waits for what must happen soon. */
export function soon<T>(
  { waitMs: timeoutMs }: Pick<CaseContext, "waitMs">,
  what: string,
  check: () => T | Promise<T>,
): Promise<Exclude<T, undefined | false>> {
  return until(check, { what, timeoutMs });
}

/**
 * Writes a marker and waits until a watcher of `web` has seen it: whatever was to be reported before it has been.
 * Returns the batches since `from`, without the marker.
 */
export async function batchesUntilMarker(
  context: CaseContext,
  { session, follower }: Pick<Scene, "session" | "follower">,
  from: number,
): Promise<Batch[]> {
  await session.put(record("web", "marker", 9_999));
  await soon(context, "the marker", () => follower.names().includes("marker"));
  const isMarker = (update: Update): boolean => JSON.stringify(update).includes('"marker"');
  return follower.batches
    .slice(from)
    .map((batch) => batch.filter((update) => !isMarker(update)))
    .filter((batch) => batch.length > 0);
}

export function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isStackError(error) && error.code === code;
}

/** No watcher may ever have seen this boot's node entry without the instances that came with it. */
export function assertAnnouncedWhole(follower: Follower, node: NodeEntry, ids: readonly string[]): void {
  for (const state of follower.history) {
    if (state.nodes.get(node.node)?.boot !== node.boot) continue;
    const missing = ids.filter((id) => state.instances.get(id)?.boot !== node.boot);
    assert.deepEqual(missing, [], `node entry of ${node.boot} was visible without its instances`);
  }
}

export function keyOf({ service, id }: InstanceRecord): string {
  return entryKey(service, id);
}

/** Runs one case on a fresh prefix, and closes what it opened. @throws what the case throws. */
export async function runCase(one: RegistryCase, harness: RegistryHarness): Promise<void> {
  const bench = await harness.fresh();
  const cleanups: (() => Promise<unknown> | unknown)[] = [];
  try {
    await one.run({
      bench,
      goneMs: harness.goneMs,
      ttlMs: harness.ttlMs,
      waitMs: harness.waitMs ?? 10_000,
      nodeless: harness.nodeless === true,
      defer: (cleanup) => cleanups.push(cleanup),
      async open(ttlMs) {
        const registry = await bench.open(ttlMs);
        cleanups.push(() => registry.close());
        return registry;
      },
    });
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
    await bench.done();
  }
}

import { strict as assert } from "node:assert";
import { entryKey, type InstanceRecord, type NodeEntry, type Registry } from "@smartstack/core";
import { type Announcer, announcer, type Follower, follow } from "./registry-follower.ts";
import type { RegistryBench } from "./registry-harness.ts";

/** What a case works with. All it opens is closed behind it. */
export interface CaseContext {
  readonly bench: RegistryBench;
  readonly ttlMs: number;
  readonly goneMs: number;
  /** How long to wait for what must happen soon, milliseconds. */
  readonly waitMs: number;
  open(): Promise<Registry>;
  defer(cleanup: () => Promise<unknown> | unknown): void;
}

/** A plain function, so that a test of the suite itself can run it against broken registries. */
export interface RegistryCase {
  readonly name: string;
  readonly run: (context: CaseContext) => Promise<void>;
}

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

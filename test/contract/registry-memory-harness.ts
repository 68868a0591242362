import { eventBus, type Registry, systemClock, systemRandom } from "@smartstack/core";
import { type MemoryStore, memoryRegistry, memoryStore } from "../../packages/registry/src/memory.ts";
import type { RegistryHarness } from "./registry-harness.ts";

/** A harness over the reference driver; `wrap` may break it, to test the suite. */
export function memoryHarness(
  options: { readonly waitMs?: number; readonly wrap?: (registry: Registry) => Registry } = {},
): RegistryHarness {
  const { wrap = (registry) => registry, waitMs = 5_000 } = options;
  return {
    ttlMs: 0,
    goneMs: 0,
    waitMs,
    fresh: () => benchOf(memoryStore(), wrap),
    stop: async () => undefined,
  };
}

function benchOf(store: MemoryStore, wrap: (registry: Registry) => Registry): ReturnType<RegistryHarness["fresh"]> {
  const events = eventBus();
  return {
    events,
    open: async () => wrap(memoryRegistry({ clock: systemClock, random: systemRandom, events }, store)),
    read: async () => new Map([...store.entries].map(([path, { text }]) => [path, text])),
    foreign: async (path, text) => store.force(new Map([[path, text === undefined ? undefined : { text }]])),
    wipe: async () => store.force(new Map([...store.entries.keys()].map((path) => [path, undefined]))),
    server: {
      changesWhileAway: true,
      kill: async () => store.setAway(true),
      start: async () => store.setAway(false),
    },
    done: async () => undefined,
  };
}

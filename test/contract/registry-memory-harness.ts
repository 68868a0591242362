import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { memoryRegistry, memoryStore } from "../../packages/registry/src/memory.ts";
import type { RegistryHarness } from "./registry-harness.ts";

/** A harness over the reference driver. */
export function memoryHarness(options: { readonly waitMs?: number } = {}): RegistryHarness {
  const { waitMs = 5_000 } = options;
  return { ttlMs: 0, goneMs: 0, waitMs, fresh: benchOf, stop: async () => undefined };
}

function benchOf(): ReturnType<RegistryHarness["fresh"]> {
  const store = memoryStore();
  const events = eventBus();
  return {
    events,
    open: async () => memoryRegistry({ clock: systemClock, random: systemRandom, events }, store),
    read: async () => new Map([...store.entries].map(([path, { text }]) => [path, text])),
    foreign: async (path, text) => store.force(new Map([[path, text === undefined ? undefined : { text }]])),
    wipe: async () => store.force(new Map([...store.entries.keys()].map((path) => [path, undefined]))),
    server: {
      changesWhileAway: true,
      kill: async () => store.setAway(true),
      start: async () => store.setAway(false),
      // Its calls are answered at once or not at all: frozen and away are the same.
      freeze: async () => store.setAway(true),
      thaw: async () => store.setAway(false),
    },
    done: async () => undefined,
  };
}

import { eventBus, systemClock, systemRandom } from "@smartstack/core";
import { type MemoryStore, memoryRegistry, memoryStore } from "../../packages/registry/src/memory.ts";
import type { RegistryHarness } from "./registry-harness.ts";
import type { Mutant } from "./registry-mutants.ts";

/** A harness over the reference driver; `mutant` may break it, to test the suite. */
export function memoryHarness(
  options: { readonly waitMs?: number; readonly mutant?: Pick<Mutant, "wrap" | "store"> } = {},
): RegistryHarness {
  const { mutant = {}, waitMs = 5_000 } = options;
  return {
    ttlMs: 0,
    goneMs: 0,
    waitMs,
    fresh: () => benchOf(memoryStore(), mutant),
    stop: async () => undefined,
  };
}

function benchOf(store: MemoryStore, mutant: Pick<Mutant, "wrap" | "store">): ReturnType<RegistryHarness["fresh"]> {
  const events = eventBus();
  const { wrap = (registry) => registry } = mutant;
  const broken = mutant.store?.(store) ?? store;
  return {
    events,
    open: async () => wrap(memoryRegistry({ clock: systemClock, random: systemRandom, events }, broken), store),
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

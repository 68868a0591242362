import type { Registry } from "@smartstack/core";
import type { MemoryStore } from "../../packages/registry/src/memory.ts";
import { SESSION_MUTANTS } from "./registry-mutants-session.ts";
import { STORE_MUTANTS } from "./registry-mutants-store.ts";
import { WATCH_MUTANTS } from "./registry-mutants-watch.ts";

/** One way in which a registry can be subtly wrong. */
export interface Mutant {
  /** Breaks a driver; `store` is what the reference driver's registries share. */
  readonly wrap?: (registry: Registry, store: MemoryStore) => Registry;
  /** Breaks what the reference driver writes to and reads from. */
  readonly store?: (store: MemoryStore) => MemoryStore;
  /** The cases that must notice. */
  readonly fails: readonly string[];
}

/** The conformance suite must notice every one of them. */
export const MUTANTS: Readonly<Record<string, Mutant>> = { ...WATCH_MUTANTS, ...SESSION_MUTANTS, ...STORE_MUTANTS };

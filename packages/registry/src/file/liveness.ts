import type { NodeFile } from "./scan.ts";

/** Judges which nodes live: those whose file changed within a ttl of observed time. */
export interface Liveness {
  /** `elapsedMs`: since the last observation, on the reader's monotonic clock. Returns the living. */
  observe(nodes: ReadonlyMap<string, NodeFile>, elapsedMs: number): ReadonlySet<string>;
}

/**
 * `stepMsMax` bounds what one gap between observations counts: a reader that was itself suspended has not observed that
 * the others stood still.
 */
export function liveness(ttlMs: number, stepMsMax: number): Liveness {
  let watched = new Map<string, { readonly pulse: string; readonly stillMs: number }>();
  return {
    observe(nodes, elapsedMs) {
      const next: typeof watched = new Map();
      for (const [name, { pulse }] of nodes) {
        const before = watched.get(name);
        const stillMs = before?.pulse === pulse ? before.stillMs + Math.min(elapsedMs, stepMsMax) : 0;
        next.set(name, { pulse, stillMs });
      }
      watched = next;
      return new Set([...next].filter(([, { stillMs }]) => stillMs < ttlMs).map(([name]) => name));
    },
  };
}

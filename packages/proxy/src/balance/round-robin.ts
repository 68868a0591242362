import type { BalanceDeps, Candidate, Picker } from "./balance.ts";
import { createHeap } from "./heap.ts";

/** Far below the shortest turn (1/256 of a round), far above what rounding adds up to: three thirds are one. */
const SLACK = 1e-6;

/**
 * Weighted round robin, as smooth as nginx's in O(log n): in each round of time a backend has as many turns as its
 * weight, one may be taken once it has begun, and of those the one that ends first is (earliest eligible virtual
 * deadline). Equals take turns in their order; every round gives each exactly its weight.
 */
export function roundRobin<T extends Candidate>({ random }: Pick<BalanceDeps, "random">): Picker<T> {
  const waiting = createHeap<T>(({ notes: a }, { notes: b }) => isBefore(a.turn, b.turn, a.order, b.order));
  const ready = createHeap<T>(({ notes: a }, { notes: b }) => isBefore(a.due, b.due, a.order, b.order));
  let now = 0;
  let step = 0;
  let count = 0;
  let only: T | undefined;

  function next(): T | undefined {
    for (let head = waiting.top(); head !== undefined && head.notes.turn <= now + SLACK; head = waiting.top()) {
      waiting.pop();
      ready.push(head);
    }
    const first = ready.pop();
    if (first !== undefined) return first;
    // Whoever was due has left the set.
    const early = waiting.pop();
    if (early !== undefined) now = early.notes.turn;
    return early;
  }

  function pick(): T | undefined {
    if (only !== undefined) return only;
    const candidate = next();
    if (candidate === undefined) return undefined;
    const { notes, weight } = candidate;
    notes.turn += 1 / weight;
    notes.due = notes.turn + 1 / weight;
    waiting.push(candidate);
    now += step;
    return candidate;
  }

  return {
    pick,
    update(candidates) {
      const anew = count === 0;
      count = candidates.length;
      only = count === 1 ? candidates[0] : undefined;
      waiting.clear();
      ready.clear();
      let total = 0;
      for (const [order, candidate] of candidates.entries()) {
        const { notes, weight } = candidate;
        // What of a turn it had still to wait, or was owed, stays the same part of a turn under a new weight.
        const part = Number.isNaN(notes.turn) ? random() : clamp((notes.turn - now) * notes.weight);
        notes.order = order;
        notes.weight = weight;
        notes.turn = now + (anew ? 0 : part / weight);
        notes.due = notes.turn + 1 / weight;
        total += weight;
        waiting.push(candidate);
      }
      step = 1 / total;
      // Not all proxies shall begin with the same backend.
      if (anew) for (let skipped = Math.floor(random() * count); skipped > 0; skipped--) pick();
    },
  };
}

/** Is `a` earlier than `b`; of two at the same time, the one whose order is smaller? */
export function isBefore(a: number, b: number, orderOfA: number, orderOfB: number): boolean {
  return Math.abs(a - b) < SLACK ? orderOfA < orderOfB : a < b;
}

function clamp(part: number): number {
  return Math.min(1, Math.max(-1, part));
}

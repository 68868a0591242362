import { type BalanceDeps, type Candidate, compareLoad, type Picker } from "./balance.ts";
import { createHeap } from "./heap.ts";
import { isBefore } from "./round-robin.ts";

/** The fewest requests or connections per weight; equals take turns by weight, so that an idle set is spread too. */
export function leastConn<T extends Candidate>({ random }: BalanceDeps): Picker<T> {
  const heap = createHeap<T>(before, ({ notes }, at) => {
    notes.place = at;
  });
  let members: readonly T[] = [];
  let now = 0;
  return {
    pick() {
      const least = heap.top();
      if (least === undefined) return undefined;
      const { notes, weight } = least;
      now = notes.due;
      notes.due += 1 / weight;
      heap.moved(0);
      return least;
    },
    loaded({ notes }) {
      if (notes.place >= 0) heap.moved(notes.place);
    },
    update(candidates) {
      const anew = members.length === 0;
      const first = Math.floor(random() * candidates.length);
      for (const { notes } of members) notes.place = -1;
      members = candidates;
      heap.clear();
      for (const [order, candidate] of candidates.entries()) {
        const { notes, weight } = candidate;
        const turn = 1 / weight;
        // In their order, each proxy beginning with another one.
        if (anew)
          notes.due = now + ((order - first + candidates.length) % candidates.length) * (turn / candidates.length);
        else if (Number.isNaN(notes.due)) notes.due = now + random() * turn;
        else notes.due = Math.min(now + turn, Math.max(now, notes.due));
        notes.order = order;
        heap.push(candidate);
      }
    },
  };
}

function before(a: Candidate, b: Candidate): boolean {
  const load = compareLoad(a, b);
  if (load !== 0) return load < 0;
  return isBefore(a.notes.due, b.notes.due, a.notes.order, b.notes.order);
}

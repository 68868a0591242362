import type { Candidate, Picker } from "./balance.ts";

/** Always the first one of the set, whatever its weight: the others only take over when it is out. */
export function first<T extends Candidate>(): Picker<T> {
  let head: T | undefined;
  return {
    update(candidates) {
      head = candidates[0];
    },
    pick: () => head,
  };
}

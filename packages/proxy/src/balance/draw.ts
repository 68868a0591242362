import type { Random } from "@smartstack/core";
import type { Candidate } from "./balance.ts";

/** Drawing candidates at random, each as likely as its weight. */
export interface Draw<T> {
  update(candidates: readonly T[]): void;
  /** The better of two different ones, each drawn by weight; of equals the one drawn first. O(log n). */
  betterOfTwo(isBetter: (second: T, first: T) => boolean): T | undefined;
}

export function createDraw<T extends Candidate>(random: Random): Draw<T> {
  let members: readonly T[] = [];
  /** Weights added up: member n has the range from the entry before it to its own. */
  let ends = new Float64Array(0);

  function memberAt(point: number): number {
    let low = 0;
    let high = members.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (point < (ends[middle] as number)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  return {
    update(candidates) {
      members = candidates;
      if (ends.length < candidates.length) ends = new Float64Array(candidates.length * 2);
      let sum = 0;
      for (let n = 0; n < candidates.length; n++) {
        sum += (candidates[n] as T).weight;
        ends[n] = sum;
      }
    },
    betterOfTwo(isBetter) {
      const count = members.length;
      if (count < 2) return members[0];
      const total = ends[count - 1] as number;
      const at = memberAt(random() * total);
      const first = members[at] as T;
      const from = (ends[at] as number) - first.weight;
      // From what is left when the first one's range is cut out.
      const point = random() * (total - first.weight);
      let other = memberAt(point < from ? point : point + first.weight);
      // Sums of fractions may end a hair inside the range that was cut out.
      if (other === at) other = at + 1 < count ? at + 1 : 0;
      const second = members[other] as T;
      return isBetter(second, first) ? second : first;
    },
  };
}

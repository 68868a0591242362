import type { Candidate } from "./balance.ts";
import { roundRobin } from "./round-robin.ts";

/** The fewest requests or connections per weight; weighted round robin among equals, so that an idle set is spread too. */
export function leastConn<T extends Candidate>(candidates: readonly T[]): T | undefined {
  let least = candidates[0];
  let equals = 0;
  for (const candidate of candidates) {
    const order = least === undefined ? 0 : compareLoad(candidate, least);
    if (order < 0) {
      least = candidate;
      equals = 1;
    } else if (order === 0) equals++;
  }
  if (least === undefined || equals === 1) return least;
  const load = least;
  return roundRobin(candidates.filter((candidate) => compareLoad(candidate, load) === 0));
}

// active / weight, without dividing.
function compareLoad(a: Candidate, b: Candidate): number {
  return a.active * b.weight - b.active * a.weight;
}

import type { Candidate } from "./balance.ts";

/**
 * Smooth weighted round robin, as nginx does it: everyone earns its weight, the richest is picked and pays for all. The
 * picks of a heavy backend are spread out instead of bunched.
 */
export function roundRobin<T extends Candidate>(candidates: readonly T[]): T | undefined {
  let total = 0;
  let best: T | undefined;
  for (const candidate of candidates) {
    total += candidate.weight;
    candidate.credit += candidate.weight;
    if (best === undefined || candidate.credit > best.credit) best = candidate;
  }
  if (best !== undefined) best.credit -= total;
  return best;
}

import { type BalanceDeps, type Candidate, compareLoad, type Picker } from "./balance.ts";
import { createDraw } from "./draw.ts";

/**
 * Of two drawn at random by weight, the one with less to do per weight. Nearly as even as knowing the least, and many
 * proxies that know nothing of each other do not all run to the same backend (Mitzenmacher: the power of two choices).
 */
export function twoChoices<T extends Candidate>({ random }: BalanceDeps): Picker<T> {
  const draw = createDraw<T>(random);
  return { update: draw.update, pick: () => draw.betterOfTwo(hasLess) };
}

function hasLess(second: Candidate, first: Candidate): boolean {
  return compareLoad(second, first) < 0;
}

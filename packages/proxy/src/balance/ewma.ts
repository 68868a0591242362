import type { BalanceDeps, Candidate, Picker } from "./balance.ts";
import { createDraw } from "./draw.ts";

/** What an answer weighs falls to 1/e in this time; as long as Finagle's and linkerd's. */
const DECAY_MS = 10_000;
/** What a backend is taken for before its first answer: linkerd's default. */
const UNKNOWN_MS = 30;
/** So that an idle backend that answers at once still counts what runs on it. */
const LEAST_MS = 0.05;

/**
 * Peak EWMA over two choices (Finagle, linkerd): what one more request would wait for, by the average time to the first
 * byte. A slower answer counts at once and in full, faster ones little by little, and silence lets a bad name fade.
 */
export function ewma<T extends Candidate>({ random, clock }: BalanceDeps): Picker<T> {
  const draw = createDraw<T>(random);
  let nowMs = 0;
  let evenWeight = 1;

  const cost = ({ notes, active, weight }: T): number => {
    const ms = notes.latencyMs * Math.exp((notes.latencyAtMs - nowMs) / DECAY_MS);
    return Math.max(ms, LEAST_MS) * (1 + (active * evenWeight) / weight);
  };
  const isCheaper = (second: T, first: T): boolean => cost(second) < cost(first);

  return {
    update(candidates) {
      draw.update(candidates);
      evenWeight = candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length;
      const at = clock.monotonic();
      for (const { notes } of candidates) {
        if (!Number.isNaN(notes.latencyMs)) continue;
        // Fades too: a newcomer among quick ones must not wait for ever to be tried.
        notes.latencyMs = UNKNOWN_MS;
        notes.latencyAtMs = at;
      }
    },
    pick() {
      nowMs = clock.monotonic();
      return draw.betterOfTwo(isCheaper);
    },
    answered({ notes }, ms) {
      const at = clock.monotonic();
      const kept = Math.exp((notes.latencyAtMs - at) / DECAY_MS);
      notes.latencyMs = ms >= notes.latencyMs ? ms : notes.latencyMs * kept + ms * (1 - kept);
      notes.latencyAtMs = at;
    },
  };
}

import type { Clock, Random } from "@smartstack/core";
import type { HashSpec } from "../snapshot.ts";

/** What a balancing algorithm may know of a backend. */
export interface Candidate {
  readonly key: string;
  /** Where it stands on a ring of hashes, as HAProxy's server ids do; undefined: its key decides. */
  readonly id: number | undefined;
  /** Its share beside the others', above 0: what zones, backups, subsets and slow start make of its weight. */
  readonly weight: number;
  /** Requests or connections it has now. */
  readonly active: number;
  readonly notes: Notes;
}

/** What algorithms write down on a candidate; it stays with it when the set changes. */
export interface Notes {
  /** Its number in the set: ties go to the first. */
  order: number;
  /** The weight that `turn` was reckoned with. */
  weight: number;
  /** When its next turn begins and is due, in rounds; NaN before its first. */
  turn: number;
  due: number;
  /** Where it lies in the structure of the algorithm, -1 while it is in none. */
  place: number;
  /** How long it took to begin to answer, milliseconds, as of `latencyAtMs`; NaN before its first answer. */
  latencyMs: number;
  latencyAtMs: number;
  /** How many times as slow as the others it is; 1 = not slower. */
  drag: number;
}

export function newNotes(): Notes {
  const never = Number.NaN;
  return { order: 0, weight: 1, turn: never, due: never, place: -1, latencyMs: never, latencyAtMs: 0, drag: 1 };
}

/** The hash of a request that has nothing to be balanced by. */
export const NO_HASH = -1;

/** One service's choice among its candidates. */
export interface Picker<T extends Candidate> {
  /** The set from now on, in its order, after any change of members or weights; those that stay keep their turn. */
  update(candidates: readonly T[]): void;
  /**
   * One of them, undefined only when there is none. In O(1) or O(log n), allocating nothing. `hash` is the 32 bits made
   * of what the request is balanced by, or NO_HASH; only hashing algorithms read it.
   */
  pick(hash: number): T | undefined;
  /** For a retry: the one that is next in line for this hash, without those to avoid. */
  pickOther?(hash: number, avoid: (candidate: T) => boolean): T | undefined;
  /** `active` of a backend, a candidate or not, went up or down by one. */
  loaded?(backend: T, by: 1 | -1): void;
  /** A backend began to answer this many milliseconds after it was asked. */
  answered?(backend: T, ms: number): void;
}

export interface BalanceDeps {
  readonly random: Random;
  readonly clock: Clock;
  readonly hash: HashSpec;
}

/** An algorithm: makes the picker of one service. */
export type Balance = <T extends Candidate>(deps: BalanceDeps) => Picker<T>;

/** What it has to do, per weight: below 0 when `a` has less than `b`. Without dividing. */
export function compareLoad(a: Candidate, b: Candidate): number {
  return loadOf(a) * b.weight - loadOf(b) * a.weight;
}

/** Requests or connections; a slow one has as many more as it is slower, even while it is idle. */
function loadOf({ active, notes: { drag } }: Candidate): number {
  return active * drag + drag - 1;
}

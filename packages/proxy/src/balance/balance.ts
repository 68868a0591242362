/** What a balancing algorithm may know of a backend. */
export interface Candidate {
  /** 1–256; backends of weight 0 are never candidates. */
  readonly weight: number;
  /** Requests or connections it has now. */
  readonly active: number;
  /** The algorithm's own note on this backend; a random number in [0, 1) at first, so that proxies start out of step. */
  credit: number;
}

/**
 * Picks one of `candidates`, undefined only when there is none. All state lies in the candidates' credits: an algorithm
 * is one function, and the set may change between any two calls.
 */
export type Balance = <T extends Candidate>(candidates: readonly T[]) => T | undefined;

import { type Backend, isOffered } from "./backend.ts";
import type { Balance } from "./balance/balance.ts";

/** The backends of a service that a request may go to, made anew whenever one of them changes, read once a request. */
export interface Candidates {
  readonly usable: readonly Backend[];
  /** Offered by the registry, taken out by their health: better than a certain error, worse than anything else. */
  readonly ejected: readonly Backend[];
}

export function groupCandidates(backends: Iterable<Backend>): Candidates {
  const usable: Backend[] = [];
  const ejected: Backend[] = [];
  for (const backend of backends) {
    if (backend.usable) usable.push(backend);
    else if (isOffered(backend)) ejected.push(backend);
  }
  return { usable, ejected };
}

/**
 * The backend for the next attempt, never one of `tried`: usable ones first, on a retry those in doubt after the others,
 * and the ejected ones last.
 */
export function pickCandidate(
  { usable, ejected }: Candidates,
  balance: Balance,
  tried: readonly Backend[],
): Backend | undefined {
  if (tried.length === 0) return balance(usable) ?? balance(ejected);
  const fresh = usable.filter((backend) => !tried.includes(backend));
  return (
    balance(fresh.filter((backend) => !backend.spec.suspect)) ??
    balance(fresh) ??
    balance(ejected.filter((backend) => !tried.includes(backend)))
  );
}

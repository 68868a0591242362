import type { Backend } from "./backend.ts";
import { type Candidate, compareLoad } from "./balance/balance.ts";
import type { GradientSpec } from "./gradient.ts";
import type { BackendSpec, BalanceName, ServiceSpec } from "./snapshot.ts";

/** What each backend of a service may have at once, and how many clients may wait until one has room. */
export interface LimitsSpec {
  /** Requests in flight; http only. */
  readonly requestsMax?: number;
  /** Connections, in http those kept for further requests included. */
  readonly connectionsMax?: number;
  /** As many requests as it answers about as fast as when it is idle; http only. See gradient.ts. */
  readonly adaptive?: GradientSpec;
  /** Waiting at once, over all backends; who comes then is turned away at once. */
  readonly queueMax: number;
}

export const DEFAULT_LIMITS: LimitsSpec = { queueMax: 1_024 };

/** More than there can be, and still a small integer to the engine: each request compares with it. */
export const UNLIMITED = 0x3fff_ffff;

/**
 * How many requests (http) or connections (tcp) the backend may have at once: the smallest of what is said and what was
 * found out.
 */
export function slotsOf({ mode, limits }: Pick<ServiceSpec, "mode" | "limits">, backend: Limited): number {
  const { requestsMax = UNLIMITED, connectionsMax = UNLIMITED } = limits ?? DEFAULT_LIMITS;
  const slots = Math.min(backend.spec.slots ?? UNLIMITED, backend.agent?.slots ?? UNLIMITED);
  if (mode !== "http") return Math.min(slots, connectionsMax);
  return Math.min(slots, connectionsMax, requestsMax, backend.gradient?.limit ?? UNLIMITED);
}

type Limited = { readonly spec: Pick<BackendSpec, "slots"> } & Pick<Backend, "gradient" | "agent">;

export function hasRoom({ active, slots }: Pick<Backend, "active" | "slots">): boolean {
  return active < slots;
}

/**
 * Who stands in for one that the algorithm chose and that is full: with algorithms that go by an order the next in it, as
 * HAProxy skips full servers, else the one with the least to do. Undefined when all are full.
 */
export function standIn<T extends Candidate & Pick<Backend, "slots">>(
  full: T,
  chosen: readonly T[],
  balance: BalanceName,
): T | undefined {
  const inOrder = balance === "first" || balance === "round_robin";
  let best: T | undefined;
  const from = chosen.indexOf(full) + 1;
  for (let n = 0; n < chosen.length; n++) {
    const one = chosen[(from + n) % chosen.length] as T;
    if (!hasRoom(one)) continue;
    if (inOrder) return one;
    if (best === undefined || compareLoad(one, best) < 0) best = one;
  }
  return best;
}

import { isDeepStrictEqual } from "node:util";
import type { BackendSpec, ServiceSpec } from "./snapshot.ts";

/** Does what is said of a backend, beside its address, stay as it was? */
export function sameBackend(a: BackendSpec, b: BackendSpec): boolean {
  return (
    a.weight === b.weight &&
    a.state === b.state &&
    a.suspect === b.suspect &&
    a.backup === b.backup &&
    a.zone === b.zone &&
    a.subset === b.subset &&
    a.id === b.id &&
    a.slots === b.slots
  );
}

/** Does everything that decides on probes and drains stay as it was? */
export function sameCheck(a: ServiceSpec, b: ServiceSpec): boolean {
  return (
    a.stale === b.stale &&
    a.timeouts.drainMs === b.timeouts.drainMs &&
    (a.check === b.check || isDeepStrictEqual(a.check, b.check)) &&
    (a.agent === b.agent || isDeepStrictEqual(a.agent, b.agent))
  );
}

/** Does what all backends may have at once stay as it was? */
export function sameLimits(a: ServiceSpec, b: ServiceSpec): boolean {
  return a.mode === b.mode && (a.limits === b.limits || isDeepStrictEqual(a.limits, b.limits));
}

export function sameBalance(a: ServiceSpec, b: ServiceSpec): boolean {
  return a.balance === b.balance && isDeepStrictEqual(a.hash, b.hash);
}

import type { Backend } from "./backend.ts";
import type { ProxyBackendStatus } from "./snapshot.ts";

/** The proxy's part of a backend's status. */
export function statusOf(backend: Backend): ProxyBackendStatus {
  const { key, health, usable, weight, sinceMs, local, counters, active } = backend;
  const reason = usable && weight === 0 ? `${backend.reason}; in reserve: ${reserveReason(backend)}` : backend.reason;
  const effectiveWeight = usable ? weight : 0;
  const shown = {
    key,
    health: health.status,
    usable,
    effectiveWeight,
    reason,
    sinceMs,
    counters: { active, ...counters },
  };
  return local === undefined ? shown : { ...shown, local };
}

function reserveReason({ spec }: Backend): string {
  if (spec.backup === true) return "a backup";
  return spec.subset === undefined ? "another zone" : `subset ${spec.subset} or its zone gets nothing`;
}

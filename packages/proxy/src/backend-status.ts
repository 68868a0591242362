import type { Backend } from "./backend.ts";
import { UNLIMITED } from "./limits.ts";
import type { ProxyBackendStatus } from "./snapshot.ts";

/** The proxy's part of a backend's status. */
export function statusOf(backend: Backend): ProxyBackendStatus {
  const { key, health, usable, weight, sinceMs, local, slots, counters, active } = backend;
  const reason = usable === weight > 0 ? backend.reason : `${backend.reason}; ${shareReason(backend)}`;
  return {
    key,
    health: health.status,
    usable,
    effectiveWeight: weight,
    reason,
    sinceMs,
    ...(local === undefined ? {} : { local }),
    ...(slots === UNLIMITED ? {} : { slots }),
    counters: { active, ...counters },
  };
}

/** Why a usable one gets nothing, or another one something. */
function shareReason({ spec, usable }: Backend): string {
  if (!usable) return "gets traffic all the same, as too few are left";
  if (spec.backup === true) return "in reserve: a backup";
  return `in reserve: ${spec.subset === undefined ? "another zone" : `subset ${spec.subset} or its zone gets nothing`}`;
}

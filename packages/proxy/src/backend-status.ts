import type { Backend } from "./backend.ts";
import type { ProxyBackendStatus } from "./data-plane.ts";
import { UNLIMITED } from "./limits.ts";

/** The proxy's part of a backend's status. */
export function statusOf(backend: Backend): ProxyBackendStatus {
  const { key, health, usable, weight, sinceMs, local, slots, counters, active } = backend;
  const share = usable === weight > 0 ? paceReason(backend) : `; ${shareReason(backend)}`;
  return {
    key,
    health: health.status,
    usable,
    effectiveWeight: weight,
    reason: backend.reason + share,
    sinceMs,
    ...(local === undefined ? {} : { local }),
    ...(slots === UNLIMITED ? {} : { slots }),
    counters: { active, ...counters },
  };
}

function paceReason({ notes: { drag } }: Backend): string {
  return drag === 1 ? "" : `; ${drag} times as slow as the others, and spared`;
}

/** Why a usable one gets nothing, or another one something. */
function shareReason({ spec, usable }: Backend): string {
  if (!usable) return "gets traffic all the same, as too few are left";
  if (spec.backup === true) return "in reserve: a backup";
  return `in reserve: ${spec.subset === undefined ? "another zone" : `subset ${spec.subset} or its zone gets nothing`}`;
}

import type { Ends } from "./ends.ts";
import type { Service } from "./service.ts";
import { NO_SOURCE, type SourceLimitsSpec, sourceOf } from "./sources.ts";
import type { Wire } from "./wire.ts";

/**
 * May this client's source have one more connection to the service? For tcp a connection also costs it a token. A refusal
 * is counted; one that is taken in counts until its wire is gone.
 */
export function admitSource(
  wire: Wire,
  service: Service,
  limits: SourceLimitsSpec,
  ends: Ends | undefined,
  nowMs: number,
): boolean {
  const { spec, sources, counters } = service;
  const rate = spec.mode === "tcp" ? limits.rate : undefined;
  if (rate === undefined && limits.connectionsMax === undefined) return true;
  const source = sourceOf(wire, ends);
  if (source === NO_SOURCE) return true;
  if (rate !== undefined && sources.take(source, rate, nowMs) > 0) {
    counters.sourceLimited++;
    return false;
  }
  if (limits.connectionsMax === undefined) return true;
  if (!sources.enter(source, limits.connectionsMax)) {
    counters.sourceLimited++;
    return false;
  }
  wire.onGone = () => sources.leave(source);
  return true;
}

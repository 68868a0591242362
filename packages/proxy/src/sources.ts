import { type Ends, plainAddress } from "./ends.ts";
import { bytesOfIp6 } from "./proxy-protocol/address-bytes.ts";
import { afterTake, FULL, type RateSpec, tokenInMs } from "./rate-limit.ts";
import { createRecentMap } from "./recent-map.ts";
import type { Wire } from "./wire.ts";

/** What one client address may have of a service, in one process. */
export interface SourceLimitsSpec {
  /** Connections at once. */
  readonly connectionsMax?: number;
  readonly rate?: RateSpec;
}

/** Whose rate is known at once. Who is forgotten begins with a full bucket. */
const RATED_MAX = 65_536;

/** Nobody in particular: a unix socket. */
export const NO_SOURCE = "";

/**
 * Whom a client counts as: its IPv4 address or the /64 network of its IPv6 one, which is the least that one subscriber
 * has (RFC 6177), as the PROXY protocol or else the connection says it.
 */
export function sourceOf(wire: Wire, ends: Ends | undefined): string {
  const said = ends?.source.address ?? wire.peer();
  if (said === undefined) return NO_SOURCE;
  const address = plainAddress(said);
  return address.includes(":") ? bytesOfIp6(address).toString("hex", 0, 8) : address;
}

/** What is known of a service's clients by their addresses. */
export interface Sources {
  /** Takes a connection in; false, and it is not, when its source has `max` already. */
  enter(source: string, max: number): boolean;
  leave(source: string): void;
  /** Takes a token and returns 0, or returns how many milliseconds the source has to wait for one. */
  take(source: string, rate: RateSpec, nowMs: number): number;
}

export function createSources(ratedMax: number = RATED_MAX): Sources {
  const connections = new Map<string, number>();
  const fullAtMs = createRecentMap(ratedMax);
  return {
    enter(source, max) {
      const before = connections.get(source) ?? 0;
      if (before >= max) return false;
      connections.set(source, before + 1);
      return true;
    },
    leave(source) {
      const left = (connections.get(source) ?? 0) - 1;
      if (left > 0) connections.set(source, left);
      else connections.delete(source);
    },
    take(source, rate, nowMs) {
      const before = fullAtMs.get(source) ?? FULL;
      const waitMs = tokenInMs(before, rate, nowMs);
      if (waitMs === 0) fullAtMs.set(source, afterTake(before, rate, nowMs));
      return waitMs;
    },
  };
}

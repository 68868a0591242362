import type { Random } from "@smartstack/core";
import { type Backend, isOffered, weightOf } from "./backend.ts";
import type { Picker } from "./balance/balance.ts";
import { hasRoom } from "./limits.ts";
import { ramp, shareOut } from "./shares.ts";
import { DEFAULT_SHARING, type SharingSpec } from "./snapshot.ts";

/** The backends of a service that a request may go to, made anew whenever one of them changes. */
export interface Candidates {
  /** Those that get traffic now, each with a weight above 0. */
  readonly chosen: readonly Backend[];
  /** As good, but not in turn: backups, other zones. */
  readonly spare: readonly Backend[];
  /** Offered by the registry, taken out by their health: better than a certain error, worse than anything else. */
  readonly ejected: readonly Backend[];
}

/** Sorts the backends into groups, and gives each its weight. Monotonic milliseconds. */
export function groupCandidates(
  backends: readonly Backend[],
  sharing: SharingSpec = DEFAULT_SHARING,
  nowMs = 0,
): Candidates {
  return groupAlike(backends, sharing) ?? groupByShares(backends, sharing, nowMs);
}

/** Where nothing but weights decides, which is nearly always: a large service may change many times a second. */
function groupAlike(backends: readonly Backend[], { zone, subsets, slowStartMs }: SharingSpec): Candidates | undefined {
  if (zone !== undefined || subsets.length > 0 || slowStartMs > 0) return undefined;
  const chosen: Backend[] = [];
  for (const backend of backends) {
    if (!isOffered(backend)) continue;
    if (!backend.usable || backend.spec.backup === true) return undefined;
    chosen.push(backend);
  }
  for (const backend of backends) backend.weight = 0;
  for (const backend of chosen) backend.weight = weightOf(backend);
  return { chosen, spare: [], ejected: [] };
}

function groupByShares(backends: readonly Backend[], sharing: SharingSpec, nowMs: number): Candidates {
  const offered = backends.filter(isOffered);
  const { length: usableCount } = offered.filter(({ usable }) => usable);
  const hasReserve = offered.some(({ usable, spec }) => usable && spec.backup === true);
  const panics = !hasReserve && usableCount * 100 < offered.length * (sharing.panicPercent ?? 0);
  const sharers = offered.map((backend) => ({
    weight: weightOf(backend) * ramp(nowMs - backend.rampFromMs, sharing.slowStartMs),
    usable: backend.usable || panics,
    backup: backend.spec.backup === true,
    zone: backend.spec.zone,
    subset: backend.spec.subset,
  }));
  for (const backend of backends) backend.weight = 0;
  for (const [n, weight] of shareOut(sharers, sharing).entries()) (offered[n] as Backend).weight = weight;
  return {
    chosen: offered.filter(({ weight }) => weight > 0),
    spare: offered.filter(({ weight, usable }) => usable && weight === 0),
    ejected: offered.filter(({ weight, usable }) => !usable && weight === 0),
  };
}

/**
 * The backend for a further attempt, never one of `tried`: spare ones behind those in turn, those in doubt and
 * those that are full after the others, and the ejected ones last.
 */
export function pickAnother(
  { chosen, spare, ejected }: Candidates,
  picker: Picker<Backend>,
  hash: number,
  tried: readonly Backend[],
  random: Random,
): Backend | undefined {
  const isFresh = (backend: Backend): boolean => !tried.includes(backend);
  const isSure = (backend: Backend): boolean => isFresh(backend) && !backend.spec.suspect && hasRoom(backend);
  return (
    picker.pickOther?.(hash, (backend) => !isSure(backend)) ??
    anyOf(chosen.filter(isSure), random) ??
    anyOf(spare.filter(isSure), random) ??
    anyOf(chosen.filter(isFresh), random) ??
    anyOf(spare.filter(isFresh), random) ??
    anyOf(ejected.filter(isFresh), random)
  );
}

/** Of two at random the one with less to do: the requests of a dead backend must not all go to the same other one. */
export function anyOf(backends: readonly Backend[], random: Random): Backend | undefined {
  const at = Math.floor(random() * backends.length);
  const one = backends[at];
  if (one === undefined || backends.length === 1) return one;
  const other = backends[(at + 1 + Math.floor(random() * (backends.length - 1))) % backends.length] as Backend;
  return other.active * weightOf(one) < one.active * weightOf(other) ? other : one;
}

import type { SharingSpec } from "./snapshot.ts";

/**
 * A zone counts as whole while this share's inverse of it is healthy (Envoy's overprovisioning factor): one of four
 * backends may be out before traffic leaves the zone.
 */
const OVERPROVISIONING = 1.4;
/** Where a slow start begins, as a part of the weight; Envoy's least. */
const RAMP_FROM = 0.1;
/** Into how many steps a slow start is cut. */
const RAMP_STEPS = 20;
const RAMP_STEP_MS_MIN = 50;

/** A backend that is offered, as far as it matters for who gets how much. */
export interface Sharer {
  /** As declared, or less during its slow start. */
  readonly weight: number;
  readonly usable: boolean;
  readonly backup: boolean;
  readonly zone: string | undefined;
  readonly subset: string | undefined;
}

/**
 * What each gets beside the others, in their order; 0 = nothing now. Backups only when nothing else is usable; subsets
 * get their percentages, each divided among zones by health, ours first. Pure.
 */
export function shareOut(sharers: readonly Sharer[], sharing: SharingSpec): number[] {
  const active = chosen(sharers, sharing.backups);
  if (sharing.subsets.length === 0 && sharing.zone === undefined) {
    return sharers.map((sharer) => (active.has(sharer) ? sharer.weight : 0));
  }
  const total = sum(active);
  const factors = new Map<Sharer, number>();
  for (const { members, share } of subsetsOf(active, sharing)) {
    for (const part of zonesOf(members, sharers, sharing.zone)) {
      const factor = (total * share * part.share) / sum(part.members);
      for (const member of part.members) factors.set(member, factor);
    }
  }
  return sharers.map((sharer) => sharer.weight * (factors.get(sharer) ?? 0));
}

/** The part of its weight a backend has `elapsedMs` into its slow start. */
export function ramp(elapsedMs: number, slowStartMs: number): number {
  if (elapsedMs >= slowStartMs) return 1;
  return Math.max(RAMP_FROM, elapsedMs / slowStartMs);
}

/** How long a step of a slow start lasts, milliseconds. */
export function rampStepMs(slowStartMs: number): number {
  return Math.max(RAMP_STEP_MS_MIN, slowStartMs / RAMP_STEPS);
}

interface Part {
  readonly members: readonly Sharer[];
  /** Of what is divided, 0–1. */
  readonly share: number;
}

function chosen(sharers: readonly Sharer[], backups: SharingSpec["backups"]): ReadonlySet<Sharer> {
  const usable = sharers.filter((sharer) => sharer.usable);
  const regular = usable.filter((sharer) => !sharer.backup);
  if (regular.length > 0) return new Set(regular);
  return new Set(backups === "all" ? usable : usable.slice(0, 1));
}

/** What the percentages leave goes to the others; the share of a subset without members is divided as the rest is. */
function subsetsOf(active: ReadonlySet<Sharer>, { subsets }: SharingSpec): Part[] {
  const named = new Map(subsets.map(({ name, share }) => [name, share / 100]));
  const left = Math.max(0, 1 - [...named.values()].reduce((all, share) => all + share, 0));
  const groups = new Map<string | undefined, Sharer[]>();
  for (const sharer of active) {
    const name = sharer.subset !== undefined && named.has(sharer.subset) ? sharer.subset : undefined;
    groups.set(name, [...(groups.get(name) ?? []), sharer]);
  }
  const parts = [...groups].map(([name, members]) => ({
    members,
    share: name === undefined ? left : (named.get(name) as number),
  }));
  const present = parts.reduce((all, { share }) => all + share, 0);
  // Only subsets of 0 percent are there: better they than nobody.
  if (present === 0) return [{ members: [...active], share: 1 }];
  return parts.map(({ members, share }) => ({ members, share: share / present }));
}

/** Our zone first; what is missing of its health goes to the others, by theirs. */
function zonesOf(members: readonly Sharer[], offered: readonly Sharer[], zone: string | undefined): Part[] {
  const isLocal = (sharer: Sharer): boolean => sharer.zone === zone;
  const local = members.filter(isLocal);
  const remote = members.filter((sharer) => !isLocal(sharer));
  if (zone === undefined || local.length === 0 || remote.length === 0) return [{ members, share: 1 }];
  const peers = offered.filter(({ backup, subset }) => backup === local[0]?.backup && subset === local[0]?.subset);
  const localHealth = healthOf(local, peers.filter(isLocal));
  const remoteHealth = healthOf(
    remote,
    peers.filter((sharer) => !isLocal(sharer)),
  );
  // When both together are not whole either, they share what there is.
  const localShare = localHealth / Math.min(1, localHealth + remoteHealth);
  return [
    { members: local, share: localShare },
    { members: remote, share: 1 - localShare },
  ].filter(({ share }) => share > 0);
}

function healthOf(usable: readonly Sharer[], offered: readonly Sharer[]): number {
  return Math.min(1, (OVERPROVISIONING * sum(usable)) / sum(offered));
}

function sum(sharers: Iterable<Sharer>): number {
  let total = 0;
  for (const { weight } of sharers) total += weight;
  return total;
}

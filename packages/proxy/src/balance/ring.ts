import { type BalanceDeps, type Candidate, NO_HASH, type Picker } from "./balance.ts";
import { avalanche, hashText } from "./hash.ts";
import { roundRobin } from "./round-robin.ts";

/** HAProxy's SRV_EWGHT_RANGE: the most points a server with an id can have. */
const ID_POINTS = 4_096;
/** Points of one ring, as making it holds up traffic; weights that ask for more get proportionally fewer. */
const POINTS_MAX = 1 << 16;
/** More than there can be new points. */
const INDEX_RANGE = 1 << 20;

/**
 * Consistent hashing on a ring, point by point as HAProxy's `hash-type consistent`: each backend has points in the number
 * of its weight, and a hash belongs to the nearest one. Who comes or goes moves only what is or becomes its own. With a
 * load factor nobody has more than that many percent of an even share, and what is too much goes on to the next point
 * (bounded load: Mirrokni, Thorup, Zadimoghaddam). A request without a hash takes part in a round robin.
 */
export function ring<T extends Candidate>(deps: BalanceDeps): Picker<T> {
  const { points: pointsPerWeight, loadFactor } = deps.hash;
  const turns = roundRobin<T>(deps);
  let members: readonly T[] = [];
  let points: Points<T> = { hashes: new Uint32Array(0), nodes: new Uint32Array(0), owners: [], counts: new Map() };
  let totalWeight = 0;
  let totalActive = 0;

  function hasRoom({ active, weight }: T): boolean {
    if (loadFactor === 0) return true;
    const share = ((totalActive + 1) * loadFactor * weight) / (100 * totalWeight);
    return active < Math.ceil(share);
  }

  /** The first on the way from this hash that has room, or is not to be avoided. */
  function from(hash: number, avoid: ((candidate: T) => boolean) | undefined): T | undefined {
    const { owners } = points;
    const start = nearest(points.hashes, hash);
    for (let step = 0, at = start; step < owners.length; step++) {
      const owner = owners[at] as T;
      if (hasRoom(owner) && (avoid === undefined || !avoid(owner))) return owner;
      at = at + 1 < owners.length ? at + 1 : 0;
    }
    return avoid === undefined ? owners[start] : undefined;
  }

  return {
    pick(hash) {
      if (hash === NO_HASH || members.length < 2) return turns.pick(hash);
      return from(hash, undefined);
    },
    pickOther: (hash, avoid) => (hash === NO_HASH ? undefined : from(hash, avoid)),
    loaded({ notes }, by) {
      if (notes.place >= 0) totalActive += by;
    },
    update(candidates) {
      turns.update(candidates);
      for (const { notes } of members) notes.place = -1;
      members = candidates;
      totalWeight = 0;
      totalActive = 0;
      for (const [order, candidate] of candidates.entries()) {
        candidate.notes.place = order;
        totalWeight += candidate.weight;
        totalActive += candidate.active;
      }
      const scale = Math.min(pointsPerWeight, POINTS_MAX / totalWeight);
      const pointsOf = ({ weight }: T): number => Math.max(1, Math.floor(weight * scale));
      points = nextPoints(points, new Map(candidates.map((candidate) => [candidate, pointsOf(candidate)])));
    },
  };
}

/** A ring, sorted by hash. Three columns of one table, and how many points each owner has. */
interface Points<T> {
  readonly hashes: Uint32Array;
  /** Which of its owner's points it is. */
  readonly nodes: Uint32Array;
  readonly owners: readonly T[];
  readonly counts: ReadonlyMap<T, number>;
}

/** Points that stay are merged with the new ones, so that a small change of a large ring sorts nothing but itself. */
function nextPoints<T extends Candidate>(before: Points<T>, counts: ReadonlyMap<T, number>): Points<T> {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const unchanged = [...counts].every(([owner, count]) => before.counts.get(owner) === count);
  if (unchanged && total === before.owners.length) return before;
  const added = newPoints(before.counts, counts);
  const hashes = new Uint32Array(total);
  const nodes = new Uint32Array(total);
  const owners: T[] = new Array(total);
  const stays = (at: number): boolean => (before.nodes[at] as number) < (counts.get(before.owners[at] as T) ?? 0);
  let old = 0;
  let fresh = 0;
  for (let at = 0; at < total; at++) {
    while (old < before.owners.length && !stays(old)) old++;
    const takeOld =
      fresh >= added.owners.length ||
      (old < before.owners.length && (before.hashes[old] as number) <= (added.hashes[fresh] as number));
    const source = takeOld ? before : added;
    const index = takeOld ? old++ : fresh++;
    hashes[at] = source.hashes[index] as number;
    nodes[at] = source.nodes[index] as number;
    owners[at] = source.owners[index] as T;
  }
  return { hashes, nodes, owners, counts };
}

/** The points that owners have too few of, sorted. */
function newPoints<T extends Candidate>(
  had: ReadonlyMap<T, number>,
  wanted: ReadonlyMap<T, number>,
): Omit<Points<T>, "counts"> {
  const made: { readonly node: number; readonly owner: T }[] = [];
  // Hash and index in one number: typed arrays sort many times faster than objects.
  const keys: number[] = [];
  for (const [owner, count] of wanted) {
    const seed = owner.id === undefined ? hashText(owner.key) : 0;
    for (let node = had.get(owner) ?? 0; node < count; node++) {
      const hash = owner.id === undefined ? avalanche(seed ^ avalanche(node)) : avalanche(owner.id * ID_POINTS + node);
      keys.push(hash * INDEX_RANGE + made.length);
      made.push({ node, owner });
    }
  }
  const sorted = Float64Array.from(keys).sort();
  const at = (key: number): { readonly node: number; readonly owner: T } => made[key % INDEX_RANGE] as (typeof made)[0];
  return {
    hashes: Uint32Array.from(sorted, (key) => Math.floor(key / INDEX_RANGE)),
    nodes: Uint32Array.from(sorted, (key) => at(key).node),
    owners: Array.from(sorted, (key) => at(key).owner),
  };
}

/** The index of the nearest hash on the ring; of two as near, the one before. */
function nearest(hashes: Uint32Array, hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((hashes[middle] as number) < hash) low = middle + 1;
    else high = middle;
  }
  const next = low === hashes.length ? 0 : low;
  const previous = next === 0 ? hashes.length - 1 : next - 1;
  // Distances along the ring, through its end.
  const behind = (hash - (hashes[previous] as number)) >>> 0;
  const ahead = ((hashes[next] as number) - hash) >>> 0;
  return behind <= ahead ? previous : next;
}

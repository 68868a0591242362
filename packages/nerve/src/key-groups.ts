/** Keys in named groups, so that what concerns one group is found without looking at all keys. A group without keys is none. */
export interface KeyGroups<G> {
  add(group: G, key: string): void;
  remove(group: G, key: string): void;
  of(group: G): ReadonlySet<string>;
  names(): Iterable<G>;
  clear(): void;
}

const NONE: ReadonlySet<string> = new Set();

export function keyGroups<G>(): KeyGroups<G> {
  const groups = new Map<G, Set<string>>();
  return {
    add(group, key) {
      const keys = groups.get(group);
      if (keys === undefined) groups.set(group, new Set([key]));
      else keys.add(key);
    },
    remove(group, key) {
      const keys = groups.get(group);
      if (keys?.delete(key) === true && keys.size === 0) groups.delete(group);
    },
    of: (group) => groups.get(group) ?? NONE,
    names: () => groups.keys(),
    clear: () => groups.clear(),
  };
}

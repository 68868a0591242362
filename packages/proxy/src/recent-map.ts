/** Numbers by key, of those that were in use of late; others are forgotten. */
export interface RecentMap {
  get(key: string): number | undefined;
  set(key: string, value: number): void;
}

/**
 * Keeps at most `keysMax`, and at least the half of them that was set last: two generations, of which the older one is
 * dropped whole, as deleting the first entry of a Map again and again would go through all that were deleted before.
 */
export function createRecentMap(keysMax: number): RecentMap {
  let young = new Map<string, number>();
  let old = new Map<string, number>();
  return {
    get: (key) => young.get(key) ?? old.get(key),
    set(key, value) {
      young.set(key, value);
      if (young.size < keysMax / 2) return;
      old = young;
      young = new Map();
    },
  };
}

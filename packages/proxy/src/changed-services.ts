import type { ServiceSpec } from "./snapshot.ts";

export interface ServiceChanges {
  /** Perhaps changed, or new: the others are the same objects as before. */
  readonly changed: readonly ServiceSpec[];
  readonly gone: readonly string[];
}

/** What differs between two lists, by identity: whoever makes snapshots hands on what did not change. */
export function changedServices(before: readonly ServiceSpec[], after: readonly ServiceSpec[]): ServiceChanges {
  const changed: ServiceSpec[] = [];
  const elsewhere: string[] = [];
  for (let n = 0; n < before.length || n < after.length; n++) {
    const old = before[n];
    const now = after[n];
    if (old === now) continue;
    if (old !== undefined) elsewhere.push(old.name);
    if (now !== undefined) changed.push(now);
  }
  const names = new Set(changed.map(({ name }) => name));
  return { changed, gone: elsewhere.filter((name) => !names.has(name)) };
}

import { type Instance, type InstanceRecord, sameInstance } from "@smartstack/core";

export interface Plan {
  readonly put: readonly InstanceRecord[];
  readonly drop: readonly { readonly service: string; readonly id: string }[];
}

export interface Desired {
  /** Where to look, by entryKey. */
  readonly keys: ReadonlySet<string>;
  /** What shall lie there. */
  record(key: string): InstanceRecord | undefined;
  /** May this entry, for which there is no record, stay as it is? True while nothing is known against it. */
  keeps(key: string): boolean;
}

/** What to write so that the registry holds what is desired. Pure. */
export function plan(desired: Desired, entries: ReadonlyMap<string, Instance>): Plan {
  const put: InstanceRecord[] = [];
  const drop: Plan["drop"][number][] = [];
  for (const key of desired.keys) {
    const record = desired.record(key);
    const present = entries.get(key);
    if (record !== undefined) {
      if (present === undefined || !sameInstance(present, record.instance)) put.push(record);
    } else if (present !== undefined && !desired.keeps(key)) drop.push(entryPlace(key));
  }
  return { put, drop };
}

/** The service and id that an entryKey was made of. */
export function entryPlace(key: string): Plan["drop"][number] {
  const slash = key.indexOf("/");
  return { service: key.slice(0, slash), id: key.slice(slash + 1) };
}

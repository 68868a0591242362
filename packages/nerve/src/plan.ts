import { entryKey, type Instance, type InstanceRecord, sameInstance } from "@smartstack/core";

export interface Plan {
  readonly put: readonly InstanceRecord[];
  readonly drop: readonly { readonly service: string; readonly id: string }[];
}

export interface Desired {
  /** What shall lie in the registry, by entryKey. */
  readonly records: ReadonlyMap<string, InstanceRecord>;
  /** May this entry, which is not among the records, stay as it is? True while nothing is known against it. */
  keeps(key: string): boolean;
}

/** What to write so that the registry holds what is desired. Pure. */
export function plan(desired: Desired, entries: ReadonlyMap<string, Instance>): Plan {
  const put: InstanceRecord[] = [];
  for (const [key, record] of desired.records) {
    const present = entries.get(key);
    if (present === undefined || !sameInstance(present, record.instance)) put.push(record);
  }
  const drop = [...entries.keys()]
    .filter((key) => !desired.records.has(key) && !desired.keeps(key))
    .map((key) => {
      const slash = key.indexOf("/");
      return { service: key.slice(0, slash), id: key.slice(slash + 1) };
    });
  return { put, drop };
}

/** By entryKey. */
export function recordsByKey(records: readonly InstanceRecord[]): ReadonlyMap<string, InstanceRecord> {
  return new Map(records.map((record) => [entryKey(record.service, record.id), record]));
}

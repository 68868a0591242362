import type { InstanceRecord, Session } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import type { Watched } from "./registry-watching.ts";
import { recordOf } from "./registry-writing.ts";

/** Between two changes: each is seen by itself. */
const EVERY_MS = 25;
/** What watchers ask of their own accord, while nothing changes, is counted for this long, and taken off. */
const QUIET_MS = 8_000;

export interface ChangeFigures {
  readonly kind: "changed" | "added" | "removed";
  /** From the beginning of the write to the watcher's batch. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Of one watcher, per change. */
  readonly bytesToWatcher: number;
  readonly bytesByWatcher: number;
}

/** Changes some of the instances, adds as many, and removes those. */
export async function measureChanges(
  session: Session,
  watched: Watched,
  records: readonly InstanceRecord[],
  changes: number,
): Promise<ChangeFigures[]> {
  const quiet = await carriedDuring(watched, () => pause(QUIET_MS));
  const step = Math.max(1, Math.floor(records.length / changes));
  const chosen = Array.from({ length: changes }, (_, at) => records[(at * step) % records.length] as InstanceRecord);
  const changed = chosen.map((record) => ({ ...record, instance: { ...record.instance, weight: 7 } }));
  const added = chosen.map(({ service }, at) => ({ ...recordOf(0, records.length + at), service }));
  const kinds: readonly (readonly [ChangeFigures["kind"], readonly InstanceRecord[], Write])[] = [
    ["changed", changed, (record) => session.put(record)],
    ["added", added, (record) => session.put(record)],
    ["removed", added, ({ service, id }) => session.drop(service, id)],
  ];
  const figures: ChangeFigures[] = [];
  for (const [kind, list, write] of kinds) {
    let latenciesMs: readonly number[] = [];
    const busy = await carriedDuring(watched, async () => {
      latenciesMs = await latenciesOf(watched, list, write);
    });
    const share = (of: "byServer" | "byClients"): number =>
      Math.max(0, busy[of] - (quiet[of] / quiet.ms) * busy.ms) / list.length;
    figures.push({
      ...{ kind, ...quantiles(latenciesMs) },
      ...{ bytesToWatcher: share("byServer"), bytesByWatcher: share("byClients") },
    });
  }
  return figures;
}

type Write = (record: InstanceRecord) => Promise<void>;

async function latenciesOf(
  { direct }: Watched,
  records: readonly InstanceRecord[],
  write: Write,
): Promise<readonly number[]> {
  await direct.report();
  const sent = new Map<string, bigint>();
  for (const record of records) {
    sent.set(`${record.service}/${record.id}`, process.hrtime.bigint());
    await write(record);
    await pause(EVERY_MS);
  }
  const seen = new Map<string, bigint>();
  const all = async (): Promise<boolean> => {
    for (const [key, atNs] of (await direct.report()).arrivals) seen.set(key, BigInt(atNs));
    return [...sent.keys()].every((key) => seen.has(key));
  };
  await until(all, { what: "all changes are seen", timeoutMs: 30_000, everyMs: 500 });
  return [...sent].map(([key, sentNs]) => Number((seen.get(key) ?? sentNs) - sentNs) / 1e6);
}

/** What went over the relay meanwhile, and for how long. */
async function carriedDuring(
  { relay }: Watched,
  work: () => Promise<unknown>,
): Promise<{ readonly byServer: number; readonly byClients: number; readonly ms: number }> {
  const [before, startedMs] = [relay.carried(), performance.now()];
  await work();
  const after = relay.carried();
  return {
    byServer: after.byServer - before.byServer,
    byClients: after.byClients - before.byClients,
    ms: performance.now() - startedMs,
  };
}

export function quantiles(values: readonly number[]): Pick<ChangeFigures, "p50Ms" | "p99Ms" | "maxMs"> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

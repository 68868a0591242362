import type { LoadRecord } from "../../support/load.ts";
import type { Fleet, Replica } from "./fleet.ts";

/** Where nothing else runs, a request that took longer than this has failed, whatever its answer. */
export const SLOW_MS = 1_000;

/**
 * The requests that should not have failed: every failed GET, and every failed POST that no backend had received, told
 * by the backends' own logs. An answer that took longer than `slowMs` counts as none.
 */
export function unexcused(records: readonly LoadRecord[], fleet: Fleet, slowMs = SLOW_MS): string[] {
  const received = fleet
    .all()
    .map((replica) => fleet.log(replica))
    .join("\n");
  return records
    .filter((record) => problemOf(record, slowMs) !== undefined)
    .filter((record) => record.method === "GET" || !received.includes(` ${record.id}\n`))
    .map(
      (record) =>
        `${record.method} ${record.id} at ${new Date(record.startMs).toISOString()}: ${problemOf(record, slowMs)}`,
    );
}

function problemOf(record: LoadRecord, slowMs: number): string | undefined {
  if (record.error !== undefined) return record.error;
  if (record.status === undefined || record.status < 200 || record.status > 299) return `status ${record.status}`;
  const tookMs = record.endMs - record.startMs;
  return tookMs > slowMs ? `took ${Math.round(tookMs)} ms` : undefined;
}

export interface Latencies {
  /** From the engine's start event to the first request that the replica answered. */
  readonly addMs: readonly number[];
  /** From the engine's first event of its end to the start of the last request that it answered; 0 when none came after. */
  readonly removeMs: readonly number[];
}

/** How fast replicas came into the traffic and left it. A replica that never served is an infinite wait. */
export function latencies(records: readonly LoadRecord[], fleet: Fleet): Latencies {
  const addMs: number[] = [];
  const removeMs: number[] = [];
  for (const replica of fleet.all()) {
    const served = records.filter((record) => record.servedBy === replica.id);
    const first = Math.min(...served.map((record) => record.startMs));
    const last = Math.max(...served.map((record) => record.startMs));
    addMs.push(Math.max(0, first - (replica.startedMs ?? 0)));
    if (replica.endedMs !== undefined) removeMs.push(Math.max(0, last - replica.endedMs));
  }
  return { addMs, removeMs };
}

/** Replicas that lived through a whole second (`windowMs`), after their first request, without answering any in it. */
export function absences(records: readonly LoadRecord[], fleet: Fleet, windowMs = 1_000): string[] {
  const missing: string[] = [];
  const endMs = Math.max(...records.map((record) => record.startMs));
  for (const replica of fleet.all()) {
    const times = records.filter((record) => record.servedBy === replica.id).map((record) => record.endMs);
    const from = Math.min(...times);
    for (let at = from; at + windowMs <= untilMs(replica, endMs); at += windowMs) {
      if (times.some((time) => time >= at && time < at + windowMs)) continue;
      missing.push(`${replica.id} answered nothing for ${Math.round(windowMs)} ms from ${new Date(at).toISOString()}`);
    }
  }
  return missing;
}

function untilMs(replica: Replica, endMs: number): number {
  return Math.min(replica.endedMs ?? endMs, endMs);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

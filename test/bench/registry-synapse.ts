import { request } from "node:http";
import type { InstanceRecord, Session } from "@smartstack/core";
import { until } from "@smartstack/core/testing";
import type { RegistryConfig } from "@smartstack/registry";
import { startStack } from "../e2e/support/stack.ts";
import { onLines } from "../scenarios/support/ledger.ts";
import { usageOf } from "../support/usage.ts";
import { type ChangeFigures, pause, quantiles } from "./registry-changes.ts";

const LOAD_MS_MAX = 120_000;
/** Between two changes, so that each is applied by itself. */
const EVERY_MS = 50;
/** What a synapse uses while nothing changes is measured for this long, and taken off. */
const QUIET_MS = 8_000;

export interface SynapseFigures extends Pick<ChangeFigures, "p50Ms" | "p99Ms" | "maxMs"> {
  /** From the start of the command, milliseconds. */
  readonly loadedMs: number;
  readonly loadCpuMs: number;
  readonly residentBytes: number;
  /** While nothing changes. */
  readonly quietCpuShare: number;
  readonly cpuMsPerChange: number;
}

/** How often a synapse that loads is asked what it has: each answer costs it some of the time that is measured. */
const ASK_MS = 250;

/** A synapse that discovers all services, each of which has a listener. */
export async function measureSynapse(
  config: RegistryConfig,
  session: Session,
  records: readonly InstanceRecord[],
  changes: number,
): Promise<SynapseFigures> {
  const startedMs = performance.now();
  const registry = { ...config, ttl: config.type === "memory" ? undefined : `${config.ttl}ms` };
  const stack = await startStack("synapse", { registry, discover: "*" });
  const { pid } = stack.child;
  const watched = new AbortController();
  try {
    const knowsAll = async (): Promise<boolean> => {
      const services = await stack.services();
      return services.reduce((sum, { backends }) => sum + backends.length, 0) === records.length;
    };
    await until(knowsAll, { what: "synapse knows all", timeoutMs: LOAD_MS_MAX, everyMs: ASK_MS });
    const loadedMs = performance.now() - startedMs;
    const { cpuMs: loadCpuMs, residentBytes } = usageOf(pid);
    // What loading leaves to be done is not quiet yet.
    await pause(2_000);
    const quiet = await cpuDuring(pid, () => pause(QUIET_MS));
    let [applied, appliedMs] = [0, 0];
    await events(stack.admin, watched.signal, (line) => {
      if (line !== "event: view.applied") return;
      appliedMs = performance.now();
      applied++;
    });
    const latenciesMs: number[] = [];
    const step = Math.max(1, Math.floor(records.length / changes));
    const busy = await cpuDuring(pid, async () => {
      for (let at = 0; at < changes; at++) {
        const record = records[(at * step + 1) % records.length] as InstanceRecord;
        const [before, sentMs] = [applied, performance.now()];
        await session.put({ ...record, instance: { ...record.instance, weight: 9 } });
        await until(() => applied > before, { what: `change ${at} is applied`, everyMs: 1 });
        latenciesMs.push(appliedMs - sentMs);
        await pause(EVERY_MS);
      }
    });
    const quietCpuShare = quiet.cpuMs / quiet.ms;
    const cpuMsPerChange = Math.max(0, busy.cpuMs - quietCpuShare * busy.ms) / changes;
    return { ...{ loadedMs, loadCpuMs, residentBytes, quietCpuShare, cpuMsPerChange }, ...quantiles(latenciesMs) };
  } finally {
    watched.abort();
    await stack.stop();
  }
}

/** Resolves when every event from then on will be told. */
function events(admin: string, signal: AbortSignal, tell: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const asking = request(`${admin}/api/v1/events`, { agent: false, signal }, (response) => {
      onLines(response, tell);
      response.on("error", () => undefined);
      resolve();
    });
    asking.on("error", reject);
    asking.end();
  });
}

async function cpuDuring(
  pid: number,
  work: () => Promise<unknown>,
): Promise<{ readonly cpuMs: number; readonly ms: number }> {
  const [before, startedMs] = [usageOf(pid).cpuMs, performance.now()];
  await work();
  return { cpuMs: usageOf(pid).cpuMs - before, ms: performance.now() - startedMs };
}

import type { Cancel, Clock } from "@smartstack/core";
import type { Probe } from "../checker.ts";
import type { ProbeResult } from "../health.ts";
import type { CheckSpec } from "../snapshot.ts";

/** Results kept; when there are more, all are let go, which costs a probe each. */
const RESULTS_MAX = 4_096;

interface Running {
  readonly beganMs: number;
  readonly waiting: Set<(result: ProbeResult) => void>;
  cancel: Cancel;
}

/** What is probed how: probes that agree in all of this find the same. */
export function probeKey({ host, port }: { readonly host: string; readonly port: number }, check: CheckSpec): string {
  const { type, timeoutMs, sendProxy, method, path, headers, status, expect } = check;
  return JSON.stringify([host, check.port ?? port, type, timeoutMs, sendProxy, method, path, headers, status, expect]);
}

/** How old a result may be that stands for a probe: less than the shortest time between two, so that none counts twice. */
export function mayBeOldMs({
  intervalMs,
  fastIntervalMs = intervalMs,
  downIntervalMs = intervalMs,
}: CheckSpec): number {
  return Math.min(intervalMs, fastIntervalMs, downIntervalMs) / 2;
}

/**
 * Lets services that have the same backend, and check it the same way, have its probes together: who asks while one runs,
 * or soon after, gets its result. Never one that began before the backend's last turn: it may tell of the time before.
 */
export function shareProbes(probe: Probe, clock: Clock): Probe {
  const running = new Map<string, Running>();
  const results = new Map<string, { readonly beganMs: number; readonly result: ProbeResult }>();

  function start(key: string, ...[backend, check]: [Parameters<Probe>[0], CheckSpec]): Running {
    const run: Running = { beganMs: clock.monotonic(), waiting: new Set(), cancel: () => undefined };
    running.set(key, run);
    run.cancel = probe(backend, check, (result) => {
      if (running.get(key) === run) running.delete(key);
      if (results.size >= RESULTS_MAX) results.clear();
      results.set(key, { beganMs: run.beganMs, result });
      for (const tell of [...run.waiting]) tell(result);
    });
    return run;
  }

  return (backend, check, done) => {
    const key = probeKey(backend, check);
    const known = results.get(key);
    const isRecent = (beganMs: number): boolean =>
      beganMs >= backend.turnedMs && clock.monotonic() - beganMs <= mayBeOldMs(check);
    if (known !== undefined && isRecent(known.beganMs))
      return clock.after(0, () => done(known.result), { background: true });
    const present = running.get(key);
    const run = present !== undefined && isRecent(present.beganMs) ? present : start(key, backend, check);
    run.waiting.add(done);
    return () => {
      run.waiting.delete(done);
      if (run.waiting.size > 0) return;
      if (running.get(key) === run) running.delete(key);
      run.cancel();
    };
  };
}

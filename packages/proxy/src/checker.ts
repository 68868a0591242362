import type { Cancel, Clock, Random } from "@smartstack/core";
import type { Backend } from "./backend.ts";
import { isChecked } from "./backend.ts";
import type { Health, ProbeResult } from "./health.ts";
import type { CheckSpec } from "./snapshot.ts";

/** How often a suspect is probed, whatever its check says. */
const SUSPECT_INTERVAL_MS = 1_000;
/** How soon the first probe follows an ejection: a single slip should not cost a backend a whole interval. */
const FIRST_AFTER_EJECTION_MS = 250;

/** When to probe a backend next; undefined = not now. */
export interface ProbePlan {
  readonly firstMs: number;
  readonly intervalMs: number;
}

/** Pure: a hundred proxies must not multiply probes, so without doubt there are none unless `always` is asked for. */
export function probePlan(backend: Backend, check: CheckSpec, stale: boolean): ProbePlan | undefined {
  if (backend.removed || !isChecked(backend, check)) return undefined;
  if (backend.spec.suspect) {
    const intervalMs = Math.min(SUSPECT_INTERVAL_MS, check.intervalMs);
    return { firstMs: 0, intervalMs };
  }
  if (backend.health.status === "down") {
    return { firstMs: Math.min(FIRST_AFTER_EJECTION_MS, check.intervalMs), intervalMs: check.intervalMs };
  }
  if (check.when === "always" || stale || backend.ejection?.probed === true)
    return { firstMs: 0, intervalMs: check.intervalMs };
  return undefined;
}

/** Runs one probe and calls back once; the returned function gives it up. */
export type Probe = (backend: Backend, check: CheckSpec, done: (result: ProbeResult) => void) => Cancel;

export interface CheckerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly probe: Probe;
  readonly onResult: (backend: Backend, result: ProbeResult) => void;
}

/** Keeps each backend probed as its plan says. */
export interface Checker {
  /** Call after anything that may change the backend's plan. */
  schedule(backend: Backend, check: CheckSpec, stale: boolean): void;
  drop(backend: Backend): void;
  stop(): void;
}

interface Schedule {
  plan: ProbePlan;
  check: CheckSpec;
  cancel: Cancel;
}

/**
 * Until the next probe, as HAProxy has it: `down` while it is surely down, `fast` while a turn is in the making or nothing
 * is known yet, else the plan's interval.
 */
export function pauseMs({ status, streak }: Health, { plan, check }: Pick<Schedule, "plan" | "check">): number {
  const { fastIntervalMs = plan.intervalMs, downIntervalMs = plan.intervalMs } = check;
  if (status === "down" && streak === 0) return downIntervalMs;
  return status === "up" && streak === 0 ? plan.intervalMs : Math.min(fastIntervalMs, plan.intervalMs);
}

export function createChecker(options: CheckerOptions): Checker {
  const { clock, random, probe, onResult } = options;
  const schedules = new Map<Backend, Schedule>();

  function drop(backend: Backend): void {
    schedules.get(backend)?.cancel();
    schedules.delete(backend);
  }

  function wait(backend: Backend, schedule: Schedule, ms: number): void {
    schedule.cancel = clock.after(ms, () => run(backend, schedule), { background: true });
  }

  function run(backend: Backend, schedule: Schedule): void {
    schedule.cancel = probe(backend, schedule.check, (result) => {
      if (result.ours !== true) onResult(backend, result);
      // The result may have changed or ended this very schedule.
      if (schedules.get(backend) === schedule) wait(backend, schedule, pauseMs(backend.health, schedule));
    });
  }

  return {
    drop,
    schedule(backend, check, stale) {
      const plan = probePlan(backend, check, stale);
      const present = schedules.get(backend);
      if (plan === undefined) return drop(backend);
      if (
        present !== undefined &&
        present.plan.intervalMs === plan.intervalMs &&
        present.plan.firstMs === plan.firstMs
      ) {
        present.check = check;
        return;
      }
      drop(backend);
      const schedule: Schedule = { plan, check, cancel: () => undefined };
      schedules.set(backend, schedule);
      // Staggered, so that fifty backends are not probed in the same millisecond for ever.
      wait(
        backend,
        schedule,
        plan.firstMs > 0 ? plan.firstMs : random() * Math.min(plan.intervalMs, SUSPECT_INTERVAL_MS),
      );
    },
    stop() {
      for (const backend of [...schedules.keys()]) drop(backend);
    },
  };
}

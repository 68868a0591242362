import { type Cancel, type Clock, describeError, type Random } from "@smartstack/core";
import type { ProbeResult } from "./checks/check.ts";
import { CHECKS, type CheckSpec } from "./checks/index.ts";
import type { EngineVerdict } from "./containers.ts";
import { damp, type Flips, type Health, NO_FLIPS, observe, UNPROBED } from "./health.ts";

/** Between probes until the first success: a container that has just started should be offered soon. */
const EAGER_MS = 100;
/** How long that goes on: a port that never opens must not be knocked at ten times a second for ever. */
const EAGER_FOR_MS = 60_000;

export interface ProberOptions {
  readonly check: CheckSpec;
  readonly clock: Clock;
  readonly random: Random;
  /** Somebody waits for its first success. Asked again before each probe. */
  readonly eager: () => boolean;
  /** What damping remembers of it from before; default nothing. */
  readonly flips?: Flips | undefined;
  readonly engineVerdict: () => EngineVerdict | undefined;
  readonly onHealth: (health: Health) => void;
}

export interface Prober {
  readonly check: CheckSpec;
  health(): Health;
  /** What damping remembers of it. */
  flips(): Flips;
  /** Probes now: the engine has said something new. */
  kick(): void;
  stop(): void;
}

/** Milliseconds to the next look whether a probe is due; `hurried`: somebody may wait for its first success. Pure. */
export function probePeriodMs(intervalMs: number, hurried: boolean, random: Random): number {
  const base = hurried ? Math.min(EAGER_MS, intervalMs) : intervalMs;
  return base * (0.95 + random() / 10);
}

/** Runs one check at a fixed rate with jitter, the first probe at once. Each check has its own timer: a slow one delays no other. */
export function startProber(options: ProberOptions): Prober {
  const { check, clock, random, eager, engineVerdict, onHealth } = options;
  const kind = CHECKS[check.type];
  const startedMs = clock.monotonic();
  const stopping = new AbortController();
  /** By rise and fall alone, and as it is shown after damping. */
  let health = UNPROBED;
  let shown = UNPROBED;
  let flips = options.flips ?? NO_FLIPS;
  let inFlight = false;
  let again = false;
  let cancel: Cancel = () => undefined;
  let cancelRelease: Cancel = () => undefined;

  /** Monotonic: when the next probe is due though nobody is in a hurry. */
  let dueMs = startedMs;

  const tick = (): void => {
    if (stopping.signal.aborted) return;
    const nowMs = clock.monotonic();
    const young = !health.succeeded && nowMs - startedMs < EAGER_FOR_MS;
    if (kind.active) cancel = clock.after(probePeriodMs(check.intervalMs, young, random), tick);
    if (young && nowMs < dueMs && !eager()) return;
    dueMs = nowMs + probePeriodMs(check.intervalMs, false, random);
    void probe();
  };
  const probe = async (): Promise<void> => {
    // One at a time: a probe that takes longer than the interval is itself the answer to the next one.
    if (inFlight) {
      again = !kind.active;
      return;
    }
    inFlight = true;
    const result = await attempt();
    inFlight = false;
    if (stopping.signal.aborted) return;
    // A container that still starts has not failed.
    const pending =
      check.type === "docker" && !result.passed && engineVerdict()?.health === "starting" && !health.succeeded;
    health = pending ? { ...health, reason: result.reason } : observe(health, result, check);
    show();
    if (again) {
      again = false;
      void probe();
    }
  };
  const show = (): void => {
    cancelRelease();
    shown = health;
    if (check.damping !== undefined) {
      const damped = damp(flips, health, check.damping, clock.monotonic());
      flips = damped.flips;
      shown = damped.health;
      // Nobody may have anything new to say by then.
      if (damped.heldForMs !== undefined) cancelRelease = clock.after(damped.heldForMs, show);
    }
    onHealth(shown);
  };
  const attempt = async (): Promise<ProbeResult> => {
    try {
      return await kind.probe({ ...check, engine: engineVerdict(), clock, signal: stopping.signal });
    } catch (error) {
      return { passed: false, reason: describeError(error) };
    }
  };
  tick();
  return {
    check,
    health: () => shown,
    flips: () => flips,
    kick: () => {
      if (!stopping.signal.aborted && !kind.active) void probe();
    },
    stop: () => {
      stopping.abort();
      cancel();
      cancelRelease();
    },
  };
}

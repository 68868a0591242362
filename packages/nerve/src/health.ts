/** What a run of probes says. `starting` = not concluded yet: neither offered nor taken back. */
export type HealthState = "starting" | "up" | "down";

export interface Health {
  readonly state: HealthState;
  /** Successive results of the same kind, the last one included. */
  readonly streak: number;
  readonly last: boolean | undefined;
  /** A probe has succeeded at least once. */
  readonly succeeded: boolean;
  /** What the last probe said. */
  readonly reason: string;
}

export interface Thresholds {
  /** Successive successes that bring it up, and failures that take it down. */
  readonly rise: number;
  readonly fall: number;
}

export const UNPROBED: Health = {
  state: "starting",
  streak: 0,
  last: undefined,
  succeeded: false,
  reason: "no probe has ended yet",
};

/**
 * The health after one more result. As in Airbnb's nerve a success that is the very first result counts as up at once,
 * whatever `rise` says; a first failure does not conclude anything before `fall` of them, so that a restarted nerve
 * does not withdraw a living instance for one lost packet.
 */
export function observe(health: Health, passed: boolean, reason: string, thresholds: Thresholds): Health {
  const streak = health.last === passed ? health.streak + 1 : 1;
  const next = { streak, last: passed, succeeded: health.succeeded || passed, reason };
  if (passed && (health.last === undefined || streak >= thresholds.rise)) return { ...next, state: "up" };
  if (!passed && streak >= thresholds.fall) return { ...next, state: "down" };
  return { ...next, state: health.state };
}

/** Several checks of one instance: up when all are, down when one is. */
export function together(parts: readonly Health[]): { readonly state: HealthState; readonly reason: string } {
  const down = parts.find((part) => part.state === "down");
  if (down !== undefined) return { state: "down", reason: down.reason };
  const starting = parts.find((part) => part.state === "starting");
  if (starting !== undefined) return { state: "starting", reason: starting.reason };
  return { state: "up", reason: parts.map((part) => part.reason).join("; ") || "not checked" };
}

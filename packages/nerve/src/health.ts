import type { ProbeResult } from "./checks/check.ts";

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
  /** What it got for an answer, where that says more. */
  readonly output?: string;
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
export function observe(health: Health, result: ProbeResult, thresholds: Thresholds): Health {
  const { passed, ...said } = result;
  const streak = health.last === passed ? health.streak + 1 : 1;
  const next = { streak, last: passed, succeeded: health.succeeded || passed, ...said };
  if (passed && (health.last === undefined || streak >= thresholds.rise)) return { ...next, state: "up" };
  if (!passed && streak >= thresholds.fall) return { ...next, state: "down" };
  return { ...next, state: health.state };
}

/** What damping remembers of one check. */
export interface Flips {
  /** The last verdict that was not "starting". */
  readonly verdict: "up" | "down" | undefined;
  /** Monotonic milliseconds of its last changes, oldest first; no more than decide. */
  readonly atMs: readonly number[];
}

export const NO_FLIPS: Flips = { verdict: undefined, atMs: [] };

/** Changes are counted over this time. */
const FLIPS_WITHIN_MS = 60_000;

/** For the check of an instance that has gone: coming back is a change, and so was going. Pure. */
export function afterEnd(flips: Flips, nowMs: number): Flips {
  return flips.verdict === "up" ? { verdict: "down", atMs: [...flips.atMs, nowMs] } : flips;
}

/** Nothing of it counts any more. Pure. */
export function isCalm({ atMs }: Flips, nowMs: number): boolean {
  return nowMs - (atMs.at(-1) ?? Number.NEGATIVE_INFINITY) >= FLIPS_WITHIN_MS;
}

export interface Damped {
  readonly flips: Flips;
  readonly health: Health;
  /** Held down: the time until it may come up, should nothing change any more. */
  readonly heldForMs: number | undefined;
}

/**
 * Holds a check down that goes up and down more than `limit` times within a minute, until it has been calmer again for
 * a minute. Only a rise is ever held back: what is down counts at once. Pure.
 */
export function damp(flips: Flips, health: Health, limit: number, nowMs: number): Damped {
  if (health.state === "starting") return { flips, health, heldForMs: undefined };
  const turned = flips.verdict !== undefined && flips.verdict !== health.state;
  const recent = flips.atMs.filter((atMs) => nowMs - atMs < FLIPS_WITHIN_MS);
  const atMs = (turned ? [...recent, nowMs] : recent).slice(-(limit + 1));
  const next: Flips = { verdict: health.state, atMs };
  const oldest = atMs[0];
  if (oldest === undefined || atMs.length <= limit) return { flips: next, health, heldForMs: undefined };
  const reason = `flapping, held down: more than ${limit} changes within a minute; last: ${health.reason}`;
  return { flips: next, health: { ...health, state: "down", reason }, heldForMs: oldest + FLIPS_WITHIN_MS - nowMs };
}

/** Several checks of one instance: up when all are, down when one is. */
export function together(parts: readonly Health[]): { readonly state: HealthState; readonly reason: string } {
  const down = parts.find((part) => part.state === "down");
  if (down !== undefined) return { state: "down", reason: down.reason };
  const starting = parts.find((part) => part.state === "starting");
  if (starting !== undefined) return { state: "starting", reason: starting.reason };
  return { state: "up", reason: parts.map((part) => part.reason).join("; ") || "not checked" };
}

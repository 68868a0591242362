/** A backend's health: rise and fall over probes, and what live traffic saw. */
export interface Health {
  readonly status: "up" | "down" | "unchecked";
  /** Probes in a row that agree against the present status. */
  readonly streak: number;
  /** Why, in words, for status and events. */
  readonly reason: string;
}

export interface HealthRules {
  readonly rise: number;
  readonly fall: number;
}

/** Nothing is known against it: the registry's word counts. */
export const UNCHECKED: Health = { status: "unchecked", streak: 0, reason: "not checked, the registry has it" };

/** One probe's result. */
export interface ProbeResult {
  readonly ok: boolean;
  /** "connect refused", "status 500": only read when not ok. */
  readonly reason: string;
  /** It could not be made, for want of something on this host: it says nothing of the backend. */
  readonly ours?: boolean;
}

/** The health after one more probe. */
export function afterProbe(health: Health, result: ProbeResult, rules: HealthRules): Health {
  if (health.status === "down") {
    if (!result.ok) return { status: "down", streak: 0, reason: health.reason };
    const streak = health.streak + 1;
    if (streak >= rules.rise) return { status: "up", streak: 0, reason: `${streak} ${probes(streak)} passed` };
    return { status: "down", streak, reason: health.reason };
  }
  if (result.ok) return { status: "up", streak: 0, reason: "probe passed" };
  const streak = health.streak + 1;
  if (streak < rules.fall) return { status: health.status, streak, reason: health.reason };
  return { status: "down", streak: 0, reason: `${streak} ${probes(streak)} failed: ${result.reason}` };
}

/**
 * The health after live traffic could not connect, or was reset before an answer: out at once. Waiting for `fall`
 * probes would send more clients into the same wall, and the probes bring it back soon when it was a single slip.
 */
export function afterTrafficFailure(health: Health, reason: string): Health {
  if (health.status === "down") return health;
  return { status: "down", streak: 0, reason: `ejected: ${reason}` };
}

function probes(count: number): string {
  return count === 1 ? "probe" : "probes";
}

/** What one tick of the event loop shows. */
export interface LoopSample {
  /** How much later than asked for it came, milliseconds. */
  readonly lateMs: number;
  /** CPU time that this process used since the tick before, and the time that passed, milliseconds. */
  readonly cpuMs: number;
  readonly passedMs: number;
}

export interface Overload {
  /** Late ticks in a row. */
  readonly late: number;
  /** The part of what is new that is turned away, 0 to SHARE_MAX. */
  readonly share: number;
}

export const CALM: Overload = { late: 0, share: 0 };

/** One late tick is a collection of garbage, or a machine that stood still; several in a row are not. */
const LATE_MIN = 3;
/** A process that got less of a core than this was kept from running: turning clients away would not help it. */
const BUSY = 0.5;
/** Somebody is always served, or nobody could see that it is over. */
const SHARE_MAX = 0.9;
/** More with each late tick, up to three times as much where it is much too late, and less with each good one. */
const STEP = 0.1;
const STEPS_MAX = 3;

/**
 * How much to turn away after one more tick. It grows while ticks come later than `lagMs` although the process works, and
 * shrinks once they come in half of that; between the two, and while the process does not get to run, it stays.
 */
export function afterTick(before: Overload, { lateMs, cpuMs, passedMs }: LoopSample, lagMs: number): Overload {
  if (lateMs < lagMs / 2) return { late: 0, share: lessened(before.share) };
  if (lateMs < lagMs || cpuMs < passedMs * BUSY) return { late: 0, share: before.share };
  const late = before.late + 1;
  if (late < LATE_MIN) return { late, share: before.share };
  const step = STEP * Math.min(STEPS_MAX, lateMs / lagMs);
  return { late, share: Math.min(SHARE_MAX, before.share + step) };
}

// Sums of steps are not exact: the rest of one is none.
function lessened(share: number): number {
  return share < STEP * 1.5 ? 0 : share - STEP;
}

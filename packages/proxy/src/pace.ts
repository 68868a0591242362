import { SAMPLES_MIN, type Seen } from "./outlier.ts";

/**
 * How slow a backend is beside its peers, pure: where requests go to whoever has the least to do, an idle one looks
 * free however long it takes.
 */

/** Below these two, differences are those of machines and moments. */
const SLOWER_FACTOR = 3;
const SLOWER_MS_MIN = 5;
const DRAG_MAX = 100;
/** Of one that was slow and is measured anew: it gets few requests. */
const SLOW_SAMPLES_MIN = 3;

/** A slow one gets one request in so many, so that it is seen when it is quick again: too few for the 99th percentile. */
export const TRICKLE_OF = 200;

/**
 * How many times as slow as the others it is; 1 = as quick, or nothing to compare. `usual`: the median of the others,
 * milliseconds. `before`: what this said last, which holds until enough is known.
 */
export function dragOf({ samples, meanLog }: Seen, usual: number | undefined, before: number): number {
  if (usual === undefined) return 1;
  if (samples < (before > 1 ? SLOW_SAMPLES_MIN : SAMPLES_MIN)) return before;
  const own = Math.exp(meanLog);
  if (own < usual * SLOWER_FACTOR || own < usual + SLOWER_MS_MIN) return 1;
  return Math.min(DRAG_MAX, Math.round(own / usual));
}

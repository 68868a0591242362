/**
 * How many requests a backend may have at once, found out instead of configured, pure: as long as its answers take about
 * what they take when it has next to nothing to do, it gets more, and when they take longer, less. Envoy's adaptive
 * concurrency filter (gradient controller), with its names and defaults: `limit * gradient + sqrt(limit)`, where the
 * gradient is the least time, with a buffer, over the time now. Times are medians, so that a few streams or long polls
 * among them change nothing.
 */
export interface GradientSpec {
  readonly min: number;
  readonly max: number;
}

export const DEFAULT_GRADIENT: GradientSpec = { min: 3, max: 1_000 };

/** Times are milliseconds, moments monotonic. */
export interface Gradient {
  limit: number;
  /** What an answer takes when next to nothing runs; NaN until it was measured. */
  leastMs: number;
  /** While the least time is measured the limit is the least one. */
  measuring: boolean;
  /** When the present window, or measurement, began. */
  fromMs: number;
  measureAtMs: number;
  /** The limit before the measurement. */
  limitBefore: number;
  /** The most that ran at once in this window. */
  most: number;
  readonly samples: number[];
}

const WINDOW_MS = 100;
const WINDOW_SAMPLES_MIN = 5;
const SAMPLES_MAX = 128;
const MEASURE_EVERY_MS = 60_000;
const MEASURE_SAMPLES = 50;
/** Where little is asked, a measurement ends with what it has. */
const MEASURE_MS_MAX = 5_000;
/** How much longer than the least time is no sign of a queue yet. */
const BUFFER = 0.25;
/** What a clock can tell apart. */
const LEAST_MS = 0.01;
const GRADIENT_MIN = 0.5;
const GRADIENT_MAX = 2;

/** Nothing known: the least time is measured first. */
export function newGradient({ min }: GradientSpec, nowMs: number): Gradient {
  return {
    ...{ limit: min, limitBefore: min, leastMs: Number.NaN, measuring: true, fromMs: nowMs, measureAtMs: nowMs },
    ...{ most: 0, samples: [] },
  };
}

/**
 * One answer's time to its first byte; `active`: requests that ran then, this one among them. Says whether `limit` is
 * another one now. `jitter`, 0–1, keeps backends from being measured together.
 */
export function noteTime(
  state: Gradient,
  spec: GradientSpec,
  { ms, active, nowMs, jitter }: { ms: number; active: number; nowMs: number; jitter: number },
): boolean {
  const before = state.limit;
  // What still runs from before the measurement waits for the others of that time.
  if (state.measuring && active > spec.min) return false;
  if (state.samples.length < SAMPLES_MAX) state.samples.push(ms);
  state.most = Math.max(state.most, active);
  if (state.measuring) measure(state, spec, nowMs, jitter);
  else if (nowMs >= state.measureAtMs) beginMeasuring(state, spec, nowMs);
  else adapt(state, spec, nowMs);
  return state.limit !== before;
}

function measure(state: Gradient, spec: GradientSpec, nowMs: number, jitter: number): void {
  const { samples } = state;
  const timeIsUp = nowMs - state.fromMs >= MEASURE_MS_MAX && samples.length >= WINDOW_SAMPLES_MIN;
  if (samples.length < MEASURE_SAMPLES && !timeIsUp) return;
  state.leastMs = median(samples);
  state.measuring = false;
  state.measureAtMs = nowMs + MEASURE_EVERY_MS * (0.85 + 0.3 * jitter);
  state.limit = clamp(state.limitBefore, spec);
  beginWindow(state, nowMs);
}

function beginMeasuring(state: Gradient, spec: GradientSpec, nowMs: number): void {
  state.limitBefore = state.limit;
  state.limit = spec.min;
  state.measuring = true;
  beginWindow(state, nowMs);
}

function adapt(state: Gradient, spec: GradientSpec, nowMs: number): void {
  const { samples, limit, leastMs, most } = state;
  if (nowMs - state.fromMs < WINDOW_MS || samples.length < WINDOW_SAMPLES_MIN) return;
  const gradient = (leastMs * (1 + BUFFER)) / median(samples);
  const next = limit * Math.min(GRADIENT_MAX, Math.max(GRADIENT_MIN, gradient)) + Math.sqrt(limit);
  // A limit that nobody comes near says nothing of what lies above it.
  if (next < limit || most * 2 > limit) state.limit = clamp(Math.floor(next), spec);
  beginWindow(state, nowMs);
}

function beginWindow(state: Gradient, nowMs: number): void {
  state.fromMs = nowMs;
  state.most = 0;
  state.samples.length = 0;
}

function clamp(limit: number, { min, max }: GradientSpec): number {
  return Math.min(max, Math.max(min, limit));
}

function median(samples: readonly number[]): number {
  return Math.max(LEAST_MS, samples.toSorted((a, b) => a - b)[samples.length >> 1] as number);
}

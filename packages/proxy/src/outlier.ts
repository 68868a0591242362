/**
 * When a backend's answers tell that it is worse than its peers, pure: beside the active checks, which may pass all the
 * while. Judged against the others, so that a request that fails everywhere takes nobody out.
 */
export interface OutlierSpec {
  /** Failed answers in a row. */
  readonly consecutive: number;
  /** Of what was asked within ten seconds, 0–1. */
  readonly failureRatio: number;
  /** Asked within them before the ratio counts. */
  readonly requestsMin: number;
  /** So many times as slow as the median of the others, by its own mean time to the first byte. */
  readonly latencyFactor: number;
  /** Nothing answered for so long, while several wait. */
  readonly silentMs: number;
  /** How long it stays out the first time; doubled each time that follows soon. */
  readonly ejectMs: number;
  readonly ejectMsMax: number;
  /** Of the backends that are offered, how many may be out before nobody is ejected any more, percent. */
  readonly outPercentMax: number;
}

/** Envoy's names and sizes where it has them; its ceiling of 10 % would never let one of five go. */
export const DEFAULT_OUTLIER: OutlierSpec = {
  consecutive: 5,
  failureRatio: 0.5,
  requestsMin: 20,
  latencyFactor: 8,
  silentMs: 3_000,
  ejectMs: 5_000,
  ejectMsMax: 300_000,
  outPercentMax: 50,
};

/** What traffic has shown of one backend. Times are monotonic milliseconds. */
export interface Seen {
  asked: number;
  /** Failed answers since the last good one. */
  streak: number;
  failures: number;
  /** What the whole service had answered before the first of that streak. */
  goodBefore: number;
  badBefore: number;
  /** Of the window: when it began, and `asked` then. */
  windowFromMs: number;
  askedBefore: number;
  /** Mean logarithm of its time to the first byte, in milliseconds, and of how many answers. */
  meanLog: number;
  samples: number;
  /** Looks in a row at which it was slow. */
  lags: number;
  /** `samples` at the look before. */
  lookedAt: number;
  /** Asked since it last began to answer, by requests that were whole when they were sent, and since when. */
  unanswered: number;
  silentFromMs: number;
  /** What the whole service had answered then. */
  answersBefore: number;
  /** Ejections that followed each other soon, and when the last ended. */
  ejections: number;
  backMs: number;
}

export function nothingSeen(): Seen {
  return {
    asked: 0,
    streak: 0,
    failures: 0,
    goodBefore: 0,
    badBefore: 0,
    windowFromMs: Number.NEGATIVE_INFINITY,
    askedBefore: 0,
    meanLog: 0,
    samples: 0,
    lags: 0,
    lookedAt: 0,
    unanswered: 0,
    silentFromMs: 0,
    answersBefore: 0,
    ejections: 0,
    backMs: Number.NEGATIVE_INFINITY,
  };
}

/** As long as Envoy's interval. */
const WINDOW_MS = 10_000;
/** Below this many samples their mean says nothing. */
export const SAMPLES_MIN = 10;
/** A slow backend is let be while it loses less than this: nobody feels it. */
const SLOWER_MS_MIN = 50;
/** Looks in a row. */
const LAGS_MIN = 3;
/** What one answer counts; of a slow backend, which gets few requests, more. */
const STEP_MIN = 0.05;
export const SLOW_STEP_MIN = 0.3;
const UNANSWERED_MIN = 3;
/** What the others must have answered meanwhile: where little is asked, a few long polls are no silence. */
const ANSWERS_MIN = 20;
/** A backend that fails twice as often as its peers is worse than they. */
const WORSE_FACTOR = 2;
/** A streak that is likelier than this by what the others fail at is chance. */
const CHANCE_MAX = 1e-6;

/**
 * A request goes to it; `whole`: nothing of it is still to come from the client. `active` counts it; `answers` is what
 * the whole service has answered.
 */
export function noteAsked(seen: Seen, active: number, whole: boolean, nowMs: number, answers: number): void {
  if (nowMs - seen.windowFromMs > WINDOW_MS) {
    seen.windowFromMs = nowMs;
    seen.askedBefore = seen.asked;
    seen.failures = 0;
  }
  seen.asked++;
  if (active <= 1 || seen.unanswered === 0) {
    seen.unanswered = 0;
    seen.silentFromMs = nowMs;
    seen.answersBefore = answers;
  }
  if (whole) seen.unanswered++;
}

/** What all backends of a service answered. */
export interface Traffic {
  good: number;
  bad: number;
}

/** A streak begins. */
export function noteFirst(seen: Seen, { good, bad }: Traffic): void {
  seen.goodBefore = good;
  seen.badBefore = bad;
}

export function noteFailure(seen: Seen): void {
  seen.streak++;
  seen.failures++;
}

/**
 * One answer's time to its first byte, into a mean of logarithms: one slow answer must not make a backend slow. `stepMin`:
 * what it counts at least, beside all before it.
 */
export function noteLatency(seen: Seen, ms: number, stepMin = STEP_MIN): void {
  const log = Math.log(Math.max(ms, 0.01));
  seen.samples++;
  seen.meanLog += Math.max(stepMin, 1 / seen.samples) * (log - seen.meanLog);
}

/** Why its failures make it an outlier, if they do. */
export function failing(
  seen: Seen,
  peers: () => readonly Seen[],
  traffic: Traffic,
  spec: OutlierSpec,
  nowMs: number,
): string | undefined {
  const asked = seen.asked - seen.askedBefore;
  const ratio = seen.failures / Math.max(1, asked);
  const inARow = seen.streak >= spec.consecutive && isOwn(seen, traffic, spec);
  const often = asked >= spec.requestsMin && ratio >= spec.failureRatio;
  if (!inARow && !often) return undefined;
  const others = peers();
  // Nothing to compare with: it may be what is asked, and not who.
  if (askedOf(others, nowMs) < spec.consecutive) return undefined;
  if (!inARow && ratio < WORSE_FACTOR * failureRatio(others, nowMs)) return undefined;
  return inARow ? `${seen.streak} failures in a row` : `${seen.failures} of ${asked} requests failed`;
}

/** Did the others do well while this one failed in a row, and so well that chance does not explain it? */
function isOwn({ streak, goodBefore, badBefore }: Seen, { good, bad }: Traffic, spec: OutlierSpec): boolean {
  const wellDone = good - goodBefore;
  const badly = Math.max(0, bad - badBefore - streak);
  if (wellDone < spec.consecutive) return false;
  return (badly / (wellDone + badly)) ** streak < CHANCE_MAX;
}

function askedOf(all: readonly Seen[], nowMs: number): number {
  let asked = 0;
  for (const seen of all) if (nowMs - seen.windowFromMs <= WINDOW_MS) asked += seen.asked - seen.askedBefore;
  return asked;
}

function failureRatio(all: readonly Seen[], nowMs: number): number {
  let failures = 0;
  for (const seen of all) if (nowMs - seen.windowFromMs <= WINDOW_MS) failures += seen.failures;
  return failures / Math.max(1, askedOf(all, nowMs));
}

/** The times to the first byte of those that were asked often enough, milliseconds, sorted. */
export function usualTimes(all: readonly Seen[]): readonly number[] {
  const times = all.filter(({ samples }) => samples >= SAMPLES_MIN).map(({ meanLog }) => Math.exp(meanLog));
  return times.sort((a, b) => a - b);
}

/** The median of `times` without the one's own, which is among them if it was asked often enough; undefined while there is none. */
export function usualBeside({ samples, meanLog }: Seen, times: readonly number[]): number | undefined {
  if (samples < SAMPLES_MIN) return times[Math.floor(times.length / 2)];
  const at = Math.floor((times.length - 1) / 2);
  // Without its own, whoever lies behind that moves up by one place.
  const ownIsBefore = Math.exp(meanLog) <= (times[at] as number);
  return times[ownIsBefore ? at + 1 : at];
}

/** Why its silence makes it an outlier, if it does. `active`: what runs on it now; `answers`: all that the service has answered. */
export function silent(
  { seen, active }: { readonly seen: Seen; readonly active: number },
  usual: number,
  answers: number,
  spec: OutlierSpec,
  nowMs: number,
): string | undefined {
  if (answers - seen.answersBefore < ANSWERS_MIN) return undefined;
  const silentMs = nowMs - seen.silentFromMs;
  const waiting = Math.min(active, seen.unanswered);
  if (waiting < UNANSWERED_MIN || silentMs <= Math.max(spec.silentMs, spec.latencyFactor * usual)) return undefined;
  return `no answer for ${(silentMs / 1_000).toFixed(1)} s, ${waiting} wait`;
}

/**
 * Why its times make it an outlier, if they do; asked once a look. It must have been slow in several, as a backend that
 * starts, or a machine that is busy for a moment, must not lose its place.
 */
export function lagging(seen: Seen, usual: number, spec: OutlierSpec): string | undefined {
  const own = Math.exp(seen.meanLog);
  if (seen.samples === seen.lookedAt) return undefined;
  seen.lookedAt = seen.samples;
  const lags = seen.samples >= SAMPLES_MIN && own >= usual + SLOWER_MS_MIN && own >= spec.latencyFactor * usual;
  seen.lags = lags ? seen.lags + 1 : 0;
  if (seen.lags < LAGS_MIN) return undefined;
  return `answers in ${own.toFixed(0)} ms, the others in ${usual.toFixed(1)}`;
}

/** How long it is out this time, milliseconds; counts it. */
export function ejectionMs(seen: Seen, spec: OutlierSpec, nowMs: number): number {
  // As long as it behaved after it came back, at least: who holds for a while begins anew.
  const lastMs = Math.min(spec.ejectMs * 2 ** (seen.ejections - 1), spec.ejectMsMax);
  if (seen.ejections > 0 && nowMs - seen.backMs > Math.max(2 * lastMs, WINDOW_MS)) seen.ejections = 0;
  return Math.min(spec.ejectMs * 2 ** seen.ejections++, spec.ejectMsMax);
}

/** Back in its pool and measured anew; from an ejection it is on its last chance. */
export function noteReturn(seen: Seen, spec: OutlierSpec, nowMs: number, ejected: boolean): void {
  seen.backMs = nowMs;
  seen.streak = ejected ? spec.consecutive - 1 : 0;
  seen.failures = 0;
  seen.windowFromMs = Number.NEGATIVE_INFINITY;
  seen.samples = 0;
  seen.lags = 0;
  seen.lookedAt = 0;
  seen.unanswered = 0;
}

/** May one more go, with so many of the offered ones out? */
export function mayEject(offered: number, out: number, spec: OutlierSpec): boolean {
  return out + 1 <= Math.floor((offered * spec.outPercentMax) / 100);
}

import type { Clock, Random } from "@smartstack/core";
import type { Backend } from "./backend.ts";
import type { Picker } from "./balance/balance.ts";
import { noteTime } from "./gradient.ts";
import { slotsOf } from "./limits.ts";
import { noteAsked, SAMPLES_MIN, usualBeside, usualTimes } from "./outlier.ts";
import { dragOf, TRICKLE_OF } from "./pace.ts";
import type { Passive } from "./passive.ts";
import type { ServiceSpec } from "./snapshot.ts";

/** What `asked` says of a request whose answer is not timed. */
export const UNTIMED = -1;

/** Where the algorithm asks for no times, one answer in so many is timed, of a backend whose pace is known. */
const TIMED_OF = 8;
/** How often the paces of backends are compared, at most. */
const LOOK_MS = 250;

export interface TimingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly spec: () => ServiceSpec;
  readonly picker: () => Picker<Backend>;
  /** Those that get traffic now. */
  readonly chosen: () => readonly Backend[];
  readonly passive: Pick<Passive, "timed">;
  /** Some are slower or quicker beside the others than they were: `notes.drag` says. */
  readonly onDrag: () => void;
  /** One may have more, or fewer, requests at once than it could: `slots` says. */
  readonly onSlots: () => void;
}

/** Times answers as far as the algorithm, or the search for outliers, wants to know; reads no clock for who does not. */
export interface Timing {
  /**
   * Follows `begin`. `whole`: nothing of the request is still to come from the client. Returns now, monotonic, or
   * UNTIMED while nobody wants to know.
   */
  asked(backend: Backend, whole: boolean): number;
  /** The backend began to answer what it was asked then. */
  answered(backend: Backend, askedMs: number): void;
  /** A slow backend whose turn it is to show whether it still is; mostly undefined. Asked once for each request. */
  due(): Backend | undefined;
  /** Those that get traffic have changed, or how. */
  regrouped(): void;
}

export function createTiming({ clock, random, spec, picker, chosen, passive, onDrag, onSlots }: TimingDeps): Timing {
  let answers = 0;
  let nextLookMs = Number.NEGATIVE_INFINITY;
  let slow: readonly Backend[] = [];
  let passed = 0;

  /** Algorithms that go by how busy a backend is. In tcp only its connects are timed, which say little of it. */
  function paces(): boolean {
    const { balance, mode } = spec();
    return mode === "http" && (balance === "least_conn" || balance === "random");
  }

  function goesByTime(): boolean {
    return paces() || picker().answered !== undefined || spec().limits?.adaptive !== undefined;
  }

  function adapt(backend: Backend, ms: number, nowMs: number): void {
    const { gradient, active } = backend;
    const adaptive = spec().limits?.adaptive;
    if (gradient === undefined || adaptive === undefined) return;
    if (!noteTime(gradient, adaptive, { ms, active, nowMs, jitter: random() })) return;
    backend.slots = slotsOf(spec(), backend);
    onSlots();
  }

  function look(nowMs: number): void {
    nextLookMs = nowMs + LOOK_MS;
    const times = usualTimes(chosen().map(({ seen }) => seen));
    let changed = false;
    for (const { seen, notes } of chosen()) {
      const drag = dragOf(seen, usualBeside(seen, times), notes.drag);
      if (drag !== notes.drag) changed = true;
      notes.drag = drag;
    }
    if (changed) onDrag();
  }

  return {
    asked(backend, whole) {
      if (spec().outlier === undefined && !goesByTime()) return UNTIMED;
      const nowMs = clock.monotonic();
      noteAsked(backend.seen, backend.active, whole, nowMs, answers);
      return nowMs;
    },
    answered(backend, askedMs) {
      if (askedMs === UNTIMED) return;
      const { seen } = backend;
      seen.unanswered = 0;
      answers++;
      if (seen.samples >= SAMPLES_MIN && seen.asked % TIMED_OF > 0 && !goesByTime()) return;
      const nowMs = clock.monotonic();
      picker().answered?.(backend, nowMs - askedMs);
      passive.timed(backend, nowMs - askedMs, answers);
      adapt(backend, nowMs - askedMs, nowMs);
      if (nowMs >= nextLookMs && paces()) look(nowMs);
    },
    due() {
      if (slow.length === 0 || ++passed % TRICKLE_OF > 0) return undefined;
      return slow[(passed / TRICKLE_OF) % slow.length];
    },
    regrouped() {
      if (paces()) slow = chosen().filter(({ notes }) => notes.drag > 1);
      else if (slow.length > 0) {
        for (const { notes } of slow) notes.drag = 1;
        slow = [];
      }
    },
  };
}

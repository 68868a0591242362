import {
  type Clock,
  describeError,
  type ErrorCode,
  isStackError,
  type RegistryCounters,
  type RegistryStatus,
} from "@smartstack/core";

const ANSWERS: ReadonlySet<ErrorCode> = new Set(["REGISTRY_FENCED", "REGISTRY_FAILED", "CLOSED"]);

type Facts = Pick<RegistryStatus, "session" | "ttlMs">;

/** Keeps what a registry's status says. */
export interface Link {
  up(facts?: Facts): void;
  /** A server that answers with a refusal is still connected. */
  down(error: unknown): void;
  /** Something failed that does not make the connection doubtful. */
  note(error: unknown): void;
  /** What is known of the contents is the truth as of now; `revision` as far as the registry said. */
  proved(revision?: number): void;
  /** What watchers are told: everything, or what changed. */
  told(what: "everything" | "changes"): void;
  /** Counts a write by what becomes of it. */
  writing<T>(work: Promise<T>): Promise<T>;
  status(): RegistryStatus;
}

export function link(clock: Clock, type: string, target: string): Link {
  let connected = false;
  let changedMs = clock.monotonic();
  let provedMs: number | undefined;
  let revision: number | undefined;
  let facts: Facts = {};
  let lastError: string | undefined;
  const counters: { -readonly [K in keyof RegistryCounters]: number } = {
    loads: 0,
    batches: 0,
    writes: 0,
    writeFailures: 0,
  };
  const turn = (to: boolean): void => {
    if (connected !== to) changedMs = clock.monotonic();
    connected = to;
  };
  const proved = (seen?: number): void => {
    provedMs = clock.monotonic();
    revision = seen ?? revision;
  };
  return {
    up(more = {}) {
      turn(true);
      facts = { ...facts, ...more };
    },
    down(error) {
      if (!isStackError(error) || !ANSWERS.has(error.code)) turn(false);
      lastError = describeError(error);
    },
    note(error) {
      lastError = describeError(error);
    },
    proved,
    told(what) {
      counters.batches++;
      // Changes may be late, and others behind them.
      if (what === "changes") return;
      proved();
      counters.loads++;
      turn(true);
    },
    async writing(work) {
      try {
        const outcome = await work;
        counters.writes++;
        return outcome;
      } catch (error) {
        counters.writeFailures++;
        throw error;
      }
    },
    status: () => ({
      type,
      target,
      connected,
      sinceMs: clock.monotonic() - changedMs,
      ...(provedMs === undefined ? {} : { stalenessMs: clock.monotonic() - provedMs }),
      ...(revision === undefined ? {} : { revision }),
      ...facts,
      ...(lastError === undefined ? {} : { lastError }),
      counters: { ...counters },
    }),
  };
}

import { type Clock, describeError, type ErrorCode, isStackError, type RegistryStatus } from "@smartstack/core";

const ANSWERS: ReadonlySet<ErrorCode> = new Set(["REGISTRY_FENCED", "REGISTRY_FAILED", "CLOSED"]);

/** Keeps what a registry's status says of its connection. */
export interface Link {
  up(facts?: { readonly position?: string; readonly ttlMs?: number }): void;
  /** A server that answers with a refusal is still connected. */
  down(error: unknown): void;
  /** Something failed that does not make the connection doubtful. */
  note(error: unknown): void;
  status(): RegistryStatus;
}

export function link(clock: Clock, type: string, target: string): Link {
  let connected = false;
  let changedMs = clock.monotonic();
  let facts: { readonly position?: string; readonly ttlMs?: number } = {};
  let lastError: string | undefined;
  const turn = (to: boolean): void => {
    if (connected !== to) changedMs = clock.monotonic();
    connected = to;
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
    status: () => ({
      type,
      target,
      connected,
      sinceMs: clock.monotonic() - changedMs,
      ...facts,
      ...(lastError === undefined ? {} : { lastError }),
    }),
  };
}

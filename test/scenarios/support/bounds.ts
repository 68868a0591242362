import { until } from "@smartstack/core/testing";
import { expect } from "vitest";
import type { EngineEvent } from "./engine-events.ts";
import { type Change, writesOf } from "./ledger.ts";
import type { Stage } from "./stage.ts";

const BOUNDS_MS = { add: 2_000, remove: 1_000 } as const;
const CAUSES = {
  add: /^(start|unpause|connect|health_status: healthy)$/,
  remove: /^(kill|die|pause|disconnect|health_status: unhealthy)$/,
} as const;

/** A moment of a scenario. The writes seen by then are counted: one may have come in this very millisecond. */
export interface Moment {
  readonly atMs: number;
  readonly writes: number;
}

export function momentOf(stage: Stage, container: string): Moment {
  return { atMs: Date.now(), writes: writesOf(stage.ledger, container).length };
}

export const FROM_THE_START: Moment = { atMs: 0, writes: 0 };

/**
 * Waits until a container's entry has come, or gone, and holds the time from the engine's event, by the engine's own
 * clock, against the bound: 2 s, or 1 s. Nothing from before `since` counts.
 */
export async function bounded(stage: Stage, kind: "add" | "remove", container: string, since: Moment): Promise<void> {
  const isIt = ({ document }: Change): boolean => (document !== undefined) === (kind === "add");
  const change = await until(() => writesOf(stage.ledger, container).slice(since.writes).find(isIt), {
    what: `${kind} of ${container}`,
    everyMs: 10,
  });
  // The first sign of an end; the last of what a beginning had to wait for. Told here, it may come later than to nerve.
  const told = (): EngineEvent[] => stage.events.filter((event) => event.container === container);
  const isCause = ({ action, atMs }: EngineEvent): boolean =>
    CAUSES[kind].test(action) && atMs >= since.atMs && atMs <= change.atMs;
  const find = (): EngineEvent | undefined =>
    told()
      .filter(isCause)
      .at(kind === "add" ? -1 : 0);
  let cause = await until(find, {
    what: `the event that explains the ${kind} of ${container}`,
  }).catch((error: unknown) => {
    const moments = [
      { atMs: since.atMs, text: "begun" },
      ...told().map(({ action, atMs }) => ({ atMs, text: action })),
      ...writesOf(stage.ledger, container).map(({ document, atMs }) => ({ atMs, text: document?.host ?? "gone" })),
    ];
    const story = moments.sort((a, b) => a.atMs - b.atMs).map(({ atMs, text }) => `${Math.round(atMs)} ${text}`);
    throw new Error(`${(error as Error).message}; seen: ${story.slice(-30).join(", ")}`, { cause: error });
  });
  // A container is connected before it starts: the word of that may still be on its way.
  if (cause.action === "connect") {
    const started = (): boolean => find()?.action === "start";
    await until(started, { what: "its start", timeoutMs: 500 }).catch(() => undefined);
    cause = find() ?? cause;
  }
  const tookMs = change.atMs - cause.atMs;
  stage.measured[kind].push(tookMs);
  // What this machine did not run for is nobody's time.
  expect(tookMs - stage.pauses.stoodStillMs(cause.atMs), `ms from ${cause.action} to the ${kind}`).toBeLessThan(
    BOUNDS_MS[kind],
  );
}

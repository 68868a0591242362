import { until } from "@smartstack/core/testing";
import { expect } from "vitest";
import { type Change, writesOf } from "./ledger.ts";
import type { Stage } from "./stage.ts";

const BOUNDS_MS = { add: 2_000, remove: 1_000 } as const;
const CAUSES = {
  add: /^(start|unpause|connect|health_status: healthy)$/,
  remove: /^(kill|die|pause|disconnect|health_status: unhealthy)$/,
} as const;

/**
 * Waits until a container's entry has come, or gone, and holds the time from the engine's event, by the engine's own
 * clock, against the bound: 2 s, or 1 s. Nothing from before `sinceMs` counts.
 */
export async function bounded(stage: Stage, kind: "add" | "remove", container: string, sinceMs: number): Promise<void> {
  const isIt = ({ document, atMs }: Change): boolean =>
    (document !== undefined) === (kind === "add") && atMs >= sinceMs;
  const change = await until(() => writesOf(stage.ledger, container).find(isIt), {
    what: `${kind} of ${container}`,
    everyMs: 10,
  });
  // The first sign of an end; the last of what a beginning had to wait for. Told here, it may come later than to nerve.
  const cause = await until(
    () => {
      const told = stage.events.filter((event) => event.container === container && CAUSES[kind].test(event.action));
      const causes = told.filter(({ atMs }) => atMs >= sinceMs && atMs <= change.atMs);
      return kind === "add" ? causes.at(-1) : causes[0];
    },
    { what: `the event that explains the ${kind} of ${container}` },
  );
  const tookMs = change.atMs - cause.atMs;
  stage.measured[kind].push(tookMs);
  expect(tookMs, `ms from ${cause.action} to the ${kind}`).toBeLessThan(BOUNDS_MS[kind]);
}

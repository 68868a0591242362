import { z } from "zod";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a configured time: a bare number is seconds, a string may carry ms, s, m, h or d. Undefined when it is neither. */
export function durationMs(value: number | string): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? rounded(value * 1_000) : undefined;
  const match = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*$/.exec(value);
  if (match === null) return undefined;
  return rounded(Number(match[1]) * (UNIT_MS[match[2] ?? "s"] ?? 1_000));
}

// Whole microseconds: 1.005 s is 1005 ms, not 1004.9999999999999.
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** A time for people: 250ms, 2s, 5m. */
export function formatDuration(ms: number): string {
  for (const [unit, size] of Object.entries(UNIT_MS).reverse()) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

export interface DurationBounds {
  readonly minMs?: number;
  readonly maxMs?: number;
}

/** Schema of a time; its output is milliseconds. */
export function duration(bounds: DurationBounds = {}): z.ZodType<number, number | string> {
  const { minMs = 0, maxMs = 366 * 86_400_000 } = bounds;
  return z.union([z.number(), z.string()]).transform((value, context) => {
    const ms = durationMs(value);
    if (ms === undefined) {
      context.addIssue({
        code: "custom",
        message: 'expected a time: seconds as a number, or a string such as "250ms", "2s", "5m"',
      });
      return z.NEVER;
    }
    if (ms < minMs || ms > maxMs) {
      context.addIssue({
        code: "custom",
        message: `expected a time from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
      });
      return z.NEVER;
    }
    return ms;
  });
}

/** Schema of a TCP or UDP port. */
export const port = z.int().min(1).max(65_535);

import { type Point, type Slope, slopeOf } from "./slope.ts";

/** What a process has after a collection of garbage. */
export interface ProcessUsage {
  readonly residentBytes: number;
  /** Heap and buffers. */
  readonly usedBytes: number;
  readonly descriptors: number;
}

/** Some processes at one moment. */
export interface UsageSample {
  readonly atMs: number;
  readonly processes: ReadonlyMap<string, ProcessUsage>;
}

const MEASURES: readonly (readonly [unit: string, of: (usage: ProcessUsage) => number])[] = [
  ["MiB resident", ({ residentBytes }) => residentBytes / 2 ** 20],
  ["MiB used", ({ usedBytes }) => usedBytes / 2 ** 20],
  ["fds", ({ descriptors }) => descriptors],
];

/**
 * For people: how each process's memory and descriptors went, with slopes an hour and their 95 % limits. A process that
 * has just started grows for a while whatever it does, so that the second half counts for itself.
 */
export function trends(samples: readonly UsageSample[]): string[] {
  const [first] = samples;
  if (first === undefined) return [];
  return [...first.processes.keys()].flatMap((name) =>
    MEASURES.map(([unit, of]) => {
      const points = samples.flatMap(({ atMs, processes }): Point[] => {
        const usage = processes.get(name);
        return usage === undefined ? [] : [[(atMs - first.atMs) / 3_600_000, of(usage)]];
      });
      const values = points.map(([, y]) => y);
      const range = `${digits(Math.min(...values))} to ${digits(Math.max(...values))} ${unit}, ${digits(values.at(-1))} at last`;
      const late = slopeOf(points.slice(Math.floor(points.length / 2)));
      return `${name}: ${range}; slope an hour ${slope(slopeOf(points))}; in the second half ${slope(late)}`;
    }),
  );
}

function slope({ perUnit, low, high }: Slope): string {
  return `${digits(perUnit)} (${digits(low)} to ${digits(high)})`;
}

function digits(value = Number.NaN): string {
  return value.toFixed(2);
}

/** How much y grows per unit of x along the straight line that fits best, and where that lies with a probability of 95 %. */
export interface Slope {
  readonly perUnit: number;
  readonly low: number;
  readonly high: number;
}

export type Point = readonly [x: number, y: number];

/** The quantile of the normal distribution below which 97.5 % lie. */
const NORMAL = 1.959963984540054;

/**
 * Ordinary least squares, with limits by Student's t. They hold for errors that do not depend on each other: a memory's
 * size, which also depends on its last one, strays further. Fewer than three points have no limits.
 */
export function slopeOf(points: readonly Point[]): Slope {
  const n = points.length;
  const mean = (of: (point: Point) => number): number => points.reduce((sum, point) => sum + of(point), 0) / n;
  const [meanX, meanY] = [mean(([x]) => x), mean(([, y]) => y)];
  const spread = n * mean(([x]) => (x - meanX) ** 2);
  const perUnit = (n * mean(([x, y]) => (x - meanX) * (y - meanY))) / spread;
  const residue = n * mean(([x, y]) => (y - meanY - perUnit * (x - meanX)) ** 2);
  const margin = n < 3 ? Number.POSITIVE_INFINITY : studentT(n - 2) * Math.sqrt(residue / (n - 2) / spread);
  return { perUnit, low: perUnit - margin, high: perUnit + margin };
}

/**
 * The quantile of Student's t below which 97.5 % lie: exact for one and two degrees of freedom, else the expansion of
 * Cornish and Fisher (Abramowitz and Stegun, 26.7.5), which errs by less than 0.01.
 */
function studentT(freedom: number): number {
  if (freedom === 1) return Math.tan(0.475 * Math.PI);
  if (freedom === 2) return 0.95 * Math.sqrt(2 / (1 - 0.95 ** 2));
  const x = NORMAL;
  const terms = [
    (x ** 3 + x) / 4,
    (5 * x ** 5 + 16 * x ** 3 + 3 * x) / 96,
    (3 * x ** 7 + 19 * x ** 5 + 17 * x ** 3 - 15 * x) / 384,
    (79 * x ** 9 + 776 * x ** 7 + 1_482 * x ** 5 - 1_920 * x ** 3 - 945 * x) / 92_160,
  ];
  return terms.reduce((sum, term, index) => sum + term / freedom ** (index + 1), x);
}

import { expect, it } from "vitest";
import { type Point, slopeOf } from "./support/slope.ts";

// R's data set "cars": speed and stopping distance.
const SPEEDS = [
  4, 4, 7, 7, 8, 9, 10, 10, 10, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 16, 16, 17, 17, 17,
  18, 18, 18, 18, 19, 19, 19, 20, 20, 20, 20, 20, 22, 23, 24, 24, 24, 24, 25,
];
const DISTANCES = [
  2, 10, 4, 22, 16, 10, 18, 26, 34, 17, 28, 14, 20, 24, 28, 26, 34, 34, 46, 26, 36, 60, 80, 20, 26, 54, 32, 40, 32, 40,
  50, 42, 56, 76, 84, 36, 46, 68, 32, 48, 52, 56, 64, 66, 54, 70, 92, 93, 120, 85,
];

it("has the limits that R's confint(lm(dist ~ speed)) gives", () => {
  const slope = slopeOf(SPEEDS.map((speed, index): Point => [speed, DISTANCES[index] ?? Number.NaN]));
  expect(slope.perUnit).toBeCloseTo(3.932409, 6);
  expect(slope.low).toBeCloseTo(3.096964, 5);
  expect(slope.high).toBeCloseTo(4.767853, 5);
});

// By hand: residues -0.8, 0.6, 1, -0.6, -0.2; t of three degrees of freedom is 3.18245.
it("has wide limits with few points", () => {
  const slope = slopeOf([
    [1, 2],
    [2, 4],
    [3, 5],
    [4, 4],
    [5, 5],
  ]);
  expect(slope.perUnit).toBeCloseTo(0.6, 12);
  expect(slope.high - slope.perUnit).toBeCloseTo(3.18245 * Math.sqrt(0.08), 2);
});

it.each<[string, number]>([
  ["one degree of freedom", 12.7062],
  ["two degrees of freedom", 4.30265],
])("is exact with %s", (_name, t) => {
  const points: Point[] =
    t > 5
      ? [
          [0, 0],
          [1, 1],
          [2, 0],
        ]
      : [
          [0, 0],
          [1, 1],
          [2, 0],
          [3, 1],
        ];
  const { perUnit, high } = slopeOf(points);
  const [residue, freedom, spread] = t > 5 ? [2 / 3, 1, 2] : [0.8, 2, 5];
  expect(high - perUnit).toBeCloseTo(t * Math.sqrt(residue / freedom / spread), 4);
});

it("knows a straight line from the limits, which meet", () => {
  expect(slopeOf([0, 1, 2, 3].map((x): Point => [x, 7 - 2 * x]))).toEqual({ perUnit: -2, low: -2, high: -2 });
});

it("has no limits with two points", () => {
  expect(
    slopeOf([
      [0, 1],
      [1, 2],
    ]),
  ).toEqual({
    perUnit: 1,
    low: Number.NEGATIVE_INFINITY,
    high: Number.POSITIVE_INFINITY,
  });
});

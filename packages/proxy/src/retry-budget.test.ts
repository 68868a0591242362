import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newRetryBudget, type RetryBudget, takeRetry } from "./retry-budget.ts";
import type { RetryBudgetSpec } from "./snapshot.ts";

/** A service that serves `perSecond` and asks for `asked` retries each tenth of a second; how many it got. */
function run(
  spec: RetryBudgetSpec,
  seconds: number,
  perSecond: number,
  asked: number,
  first = newRetryBudget(spec, 0),
): { granted: number; budget: RetryBudget } {
  let budget = first;
  let granted = 0;
  for (let tenth = 1; tenth <= seconds * 10; tenth++) {
    for (let n = 0; n < asked; n++) {
      const requests = first.requests + (tenth * perSecond) / 10;
      const answer = takeRetry(budget, spec, requests, first.atMs + tenth * 100);
      budget = answer.budget;
      if (answer.granted) granted++;
    }
  }
  return { granted, budget };
}

describe("a retry budget", () => {
  const spec = { ratio: 0.2, minPerSecond: 10 };

  it("has ten seconds of its floor to begin with", () => {
    expect(run({ ratio: 0, minPerSecond: 10 }, 0.1, 0, 1_000).granted).toBe(100);
  });

  it("grants a fifth of the requests in a storm, beside its floor", () => {
    const quiet = run(spec, 60, 1_000, 0);
    const storm = run(spec, 60, 1_000, 500, { ...quiet.budget, requests: 0, tokens: 0 });
    expect(storm.granted).toBeGreaterThan(60 * 205);
    expect(storm.granted).toBeLessThanOrEqual(60 * 210);
  });

  it("refuses nothing to a service that retries less than its share", () => {
    expect(run(spec, 60, 1_000, 20).granted).toBe(60 * 10 * 20);
    expect(run({ ratio: 0, minPerSecond: 11 }, 60, 0, 1).granted).toBe(600);
  });

  it("does not save a quiet hour up", () => {
    const { budget } = run(spec, 1, 0, 1);
    const storm = Array.from({ length: 10_000 }).reduce<{ budget: RetryBudget; granted: number }>(
      (so) => {
        // An hour with a hundred requests a second, at whose end everything fails at once.
        const answer = takeRetry(so.budget, spec, 360_000, 3_600_000);
        return { budget: answer.budget, granted: so.granted + (answer.granted ? 1 : 0) };
      },
      { budget, granted: 0 },
    );
    expect(storm.granted).toBeGreaterThan(290);
    expect(storm.granted).toBeLessThanOrEqual(300);
  });

  it("of nothing grants nothing", () => {
    expect(run({ ratio: 0, minPerSecond: 0 }, 60, 1_000, 10).granted).toBe(0);
  });

  it("takes a clock that stands still, and one that goes back", () => {
    const empty: RetryBudget = { tokens: 0, requests: 0, atMs: 1_000 };
    expect(takeRetry(empty, spec, 5, 1_000)).toEqual({
      granted: true,
      budget: { tokens: 0, requests: 5, atMs: 1_000 },
    });
    expect(takeRetry(empty, spec, 4, 0).granted).toBe(false);
  });

  it("never grants more than was paid in, whatever comes when", () => {
    const step = fc.record({
      ms: fc.integer({ min: 0, max: 60_000 }),
      requests: fc.nat(1_000),
      retries: fc.nat(50),
    });
    const spend = fc.record({ ratio: fc.double({ min: 0, max: 10, noNaN: true }), minPerSecond: fc.nat(100) });
    fc.assert(
      fc.property(spend, fc.array(step, { maxLength: 40 }), (chosen, steps) => {
        let budget = newRetryBudget(chosen, 0);
        let [requests, nowMs, granted] = [0, 0, 0];
        for (const each of steps) {
          requests += each.requests;
          nowMs += each.ms;
          for (let n = 0; n < each.retries; n++) {
            const answer = takeRetry(budget, chosen, requests, nowMs);
            budget = answer.budget;
            if (answer.granted) granted++;
            expect(budget.tokens).toBeGreaterThanOrEqual(0);
          }
        }
        const paidIn = chosen.ratio * requests + chosen.minPerSecond * (10 + nowMs / 1_000);
        expect(granted).toBeLessThanOrEqual(paidIn + 1e-6);
      }),
    );
  });
});

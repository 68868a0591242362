import fc from "fast-check";
import { expect, it } from "vitest";
import { type Backend, createBackend } from "./backend.ts";
import { groupCandidates } from "./candidates.ts";
import { DEFAULT_CHECK, DEFAULT_SHARING, type SharingSpec } from "./snapshot.ts";
import { backendSpec } from "./testing/bench.ts";

const members = fc.array(
  fc.record({
    weight: fc.integer({ min: 0, max: 3 }),
    usable: fc.boolean(),
    backup: fc.boolean(),
    draining: fc.boolean(),
  }),
  { maxLength: 6 },
);

/** Keys and weights of each group. */
function grouped(all: readonly Backend[], sharing: SharingSpec, nowMs: number) {
  const { chosen, spare, ejected } = groupCandidates(all, sharing, nowMs);
  const shown = (some: readonly Backend[]) => some.map(({ key, weight }) => `${key}: ${weight}`);
  return { chosen: shown(chosen), spare: shown(spare), ejected: shown(ejected), all: shown(all) };
}

it("the short way, where nothing but weights decides, comes to what the long one does", () => {
  fc.assert(
    fc.property(members, (given) => {
      const all = given.map(({ weight, usable, backup, draining }, n) => {
        const spec = backendSpec(`b${n}`, 1, { weight, state: draining ? "draining" : "up", backup });
        return Object.assign(createBackend(spec, DEFAULT_CHECK, 0), { usable: usable && !draining && weight > 0 });
      });
      // With a slow start that is long over for all, the long way is taken.
      const long = grouped(all, { ...DEFAULT_SHARING, slowStartMs: 1 }, 1_000_000);
      expect(grouped(all, DEFAULT_SHARING, 0)).toEqual(long);
    }),
  );
});

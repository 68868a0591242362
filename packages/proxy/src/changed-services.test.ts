import fc from "fast-check";
import { expect, it } from "vitest";
import { changedServices } from "./changed-services.ts";
import { serviceSpec } from "./testing/bench.ts";

it("names all that is gone, and has at least all that is new or another", () => {
  const versions = Array.from({ length: 6 }, (_, n) => [0, 1].map(() => serviceSpec({ name: `s${n}` })));
  const list = fc
    .shuffledSubarray([0, 1, 2, 3, 4, 5])
    .chain((numbers) =>
      fc.tuple(...numbers.map((n) => fc.constantFrom(...(versions[n] as ReturnType<typeof serviceSpec>[])))),
    );
  fc.assert(
    fc.property(list, list, (before, after) => {
      const { changed, gone } = changedServices(before, after);
      const names = after.map(({ name }) => name);
      expect(gone.toSorted()).toEqual(
        before
          .map(({ name }) => name)
          .filter((name) => !names.includes(name))
          .toSorted(),
      );
      for (const spec of after) if (!before.includes(spec)) expect(changed).toContain(spec);
      expect(changed.every((spec) => after.includes(spec))).toBe(true);
    }),
  );
});

it("has nothing where nothing changed", () => {
  const specs = [serviceSpec({ name: "a" }), serviceSpec({ name: "b" })];
  expect(changedServices(specs, [...specs])).toEqual({ changed: [], gone: [] });
});

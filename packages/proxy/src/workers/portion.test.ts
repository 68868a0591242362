import { expect, it } from "vitest";
import { SILENT_AGENT } from "../agent-word.ts";
import { backendSpec, serviceSpec } from "../testing/bench.ts";
import { ALONE, agentPortion, portion, portionOf } from "./portion.ts";

const places = (of: number) => Array.from({ length: of }, (_, index) => ({ index, of }));

it("divides a limit so that the parts add up to it, with at least one for each worker", () => {
  for (const of of [1, 2, 3, 7])
    for (let limit = of; limit < 30; limit++)
      expect(places(of).reduce((sum, place) => sum + portion(limit, place), 0)).toBe(limit);
  expect(places(4).map((place) => portion(2, place))).toEqual([1, 1, 1, 1]);
});

it("divides an agent's limit, and leaves the rest of its words", () => {
  const place = { index: 1, of: 2 };
  expect(agentPortion({ ...SILENT_AGENT, slots: 3 }, place)).toEqual({ ...SILENT_AGENT, slots: 1 });
  expect(agentPortion(SILENT_AGENT, place)).toBe(SILENT_AGENT);
});

it("divides what a service and its backends are limited by, and leaves the others as they are", () => {
  const plain = serviceSpec({ backends: [backendSpec("a", 1)] });
  expect(portionOf(plain, { index: 1, of: 2 })).toBe(plain);
  const limits = { requestsMax: 5, connectionsMax: 8, queueMax: 3 };
  const [a, b] = [backendSpec("a", 1), backendSpec("b", 2, { slots: 3 })];
  const limited = serviceSpec({ limits, backends: [a, b] });
  expect(portionOf(limited, ALONE)).toBe(limited);
  const part = portionOf(limited, { index: 1, of: 2 });
  expect(part.limits).toEqual({ requestsMax: 2, connectionsMax: 4, queueMax: 2 });
  expect(part.backends[0]).toBe(a);
  expect(part.backends[1]).toEqual({ ...b, slots: 1 });
  expect(portionOf(serviceSpec({ limits: { queueMax: 0 } }), { index: 0, of: 2 }).limits).toEqual({ queueMax: 0 });
});

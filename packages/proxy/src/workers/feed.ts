import { isDeepStrictEqual } from "node:util";
import type { ServiceSpec, Snapshot } from "../snapshot.ts";
import type { ToWorker } from "./protocol.ts";

export type Apply = Extract<ToWorker, { kind: "apply" }>;

/** What a worker that has `before` must be told to have `after`; all of it without a `before`. */
export function applyMessage(before: Snapshot | undefined, after: Snapshot): Apply {
  const known = new Map(before?.services.map((spec) => [spec.name, spec]));
  const changed = after.services.filter((spec) => !sameSpec(known.get(spec.name), spec));
  const names = after.services.map(({ name }) => name);
  const { revision, clientsMax, shedLagMs } = after;
  return {
    ...{ kind: "apply", revision, changed },
    ...(before !== undefined && sameNames(before.services, names) ? {} : { names }),
    ...(clientsMax === undefined ? {} : { clientsMax }),
    ...(shedLagMs === undefined ? {} : { shedLagMs }),
  };
}

function sameSpec(a: ServiceSpec | undefined, b: ServiceSpec): boolean {
  return a === b || isDeepStrictEqual(a, b);
}

function sameNames(before: readonly ServiceSpec[], names: readonly string[]): boolean {
  return before.length === names.length && before.every(({ name }, index) => name === names[index]);
}

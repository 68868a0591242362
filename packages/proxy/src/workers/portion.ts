import type { Agent } from "../agent-word.ts";
import type { LimitsSpec } from "../limits.ts";
import type { BackendSpec, ServiceSpec } from "../snapshot.ts";

/** Which of how many workers this is: what all of them may have together is divided by it. */
export interface Place {
  /** From 0. */
  readonly index: number;
  readonly of: number;
}

/** The only one. */
export const ALONE: Place = { index: 0, of: 1 };

/** One worker's part of a limit; the parts add up to it, but nobody's is less than 1, or its service would stand still there. */
export function portion(limit: number, { index, of }: Place): number {
  return Math.max(1, Math.floor(limit / of) + (index < limit % of ? 1 : 0));
}

/** The service as one worker serves it; the same object where nothing is limited. */
export function portionOf(spec: ServiceSpec, place: Place): ServiceSpec {
  const { limits, backends } = spec;
  if (place.of === 1) return spec;
  const limited = backends.some(({ slots }) => slots !== undefined);
  if (limits === undefined && !limited) return spec;
  return {
    ...spec,
    ...(limits === undefined ? {} : { limits: limitsOf(limits, place) }),
    backends: limited ? backends.map((backend) => backendOf(backend, place)) : backends,
  };
}

/** What an agent said, as it holds for one worker. */
export function agentPortion(agent: Agent, place: Place): Agent {
  return agent.slots === undefined ? agent : { ...agent, slots: portion(agent.slots, place) };
}

function limitsOf({ requestsMax, connectionsMax, queueMax, ...rest }: LimitsSpec, place: Place): LimitsSpec {
  return {
    ...rest,
    ...(requestsMax === undefined ? {} : { requestsMax: portion(requestsMax, place) }),
    ...(connectionsMax === undefined ? {} : { connectionsMax: portion(connectionsMax, place) }),
    queueMax: Math.ceil(queueMax / place.of),
  };
}

function backendOf(backend: BackendSpec, place: Place): BackendSpec {
  return backend.slots === undefined ? backend : { ...backend, slots: portion(backend.slots, place) };
}

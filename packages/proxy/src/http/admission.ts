import { NO_SOURCE, type SourceLimitsSpec, sourceOf } from "../sources.ts";
import type { Conversation } from "./conversation.ts";
import { fail } from "./finish.ts";

/** May the request be brought to a backend? Else it was answered. */
export function admitted(conversation: Conversation): boolean {
  const { service, surroundings } = conversation;
  const { shedding, random } = surroundings;
  if (shedding.share > 0 && random() < shedding.share) {
    service.counters.shed++;
    fail(conversation, 503, "this proxy is overloaded");
    return false;
  }
  const { sources } = service.spec;
  return sources === undefined || withinRate(conversation, sources);
}

// Else it is told when to come again, by 429 (RFC 6585 §4).
function withinRate(conversation: Conversation, { rate }: SourceLimitsSpec): boolean {
  if (rate === undefined) return true;
  const { service, surroundings, wire, ends } = conversation;
  conversation.source ??= sourceOf(wire, ends);
  if (conversation.source === NO_SOURCE) return true;
  const waitMs = service.sources.take(conversation.source, rate, surroundings.clock.monotonic());
  if (waitMs === 0) return true;
  service.counters.sourceLimited++;
  const reason = `more than ${rate.requests} requests in ${rate.perMs} ms from one address`;
  fail(conversation, 429, reason, Math.ceil(waitMs / 1_000));
  return false;
}

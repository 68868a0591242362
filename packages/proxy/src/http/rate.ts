import { NO_SOURCE, type SourceLimitsSpec, sourceOf } from "../sources.ts";
import type { Conversation } from "./conversation.ts";
import { fail } from "./finish.ts";

/** May the client's source have one more request answered? Else it was told when, by 429 (RFC 6585 §4). */
export function withinRate(conversation: Conversation, { rate }: SourceLimitsSpec): boolean {
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

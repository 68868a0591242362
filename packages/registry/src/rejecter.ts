import type { EventBus } from "@smartstack/core";
import type { Reject } from "./contents.ts";

/** Publishes each document that does not parse. */
export function rejecter(events: EventBus): Reject {
  return (service, id, reason) => events.publish("registry.document_rejected", { service, id, reason });
}

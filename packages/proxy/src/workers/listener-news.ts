import type { EventBus, ListenerStatus } from "@smartstack/core";

/** Publishes what became of listeners, once for all workers. */
export interface ListenerNews {
  /** The listeners that a service has now. */
  tell(service: string, listeners: readonly ListenerStatus[]): void;
}

export function listenerNews(events: EventBus): ListenerNews {
  const known = new Map<string, readonly ListenerStatus[]>();
  return {
    tell(service, listeners) {
      const before = known.get(service) ?? [];
      // A worker that has just begun has not bound yet what others have.
      if (listeners.some(({ state }) => state === "pending")) return;
      if (listeners.length === 0) known.delete(service);
      else known.set(service, listeners);
      for (const { address, state, reason = "" } of listeners) {
        const last = before.find((each) => each.address === address);
        if (last?.state === state && last.reason === (reason || undefined)) continue;
        if (state === "bound") events.publish("listener.bound", { service, address });
        if (state === "failed") events.publish("listener.failed", { service, address, reason });
      }
      for (const { address, state } of before) {
        const stays = listeners.some((each) => each.address === address);
        if (state === "bound" && !stays) events.publish("listener.closed", { service, address });
      }
    },
  };
}

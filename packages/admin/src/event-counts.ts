import type { EventBus, StackEvent } from "@smartstack/core";

/** What the metrics know from events alone, counted from the moment of its making. */
export interface EventCounts {
  byName(): ReadonlyMap<StackEvent["name"], number>;
  /** Does every engine answer? Undefined before the first word of one. */
  dockerConnected(): boolean | undefined;
  /** The view applied last. */
  view(): { readonly revision: number; readonly backends: number };
  stop(): void;
}

export function countEvents(events: EventBus): EventCounts {
  const counts = new Map<StackEvent["name"], number>();
  const away = new Set<string>();
  let view = { revision: 0, backends: 0 };
  const stop = events.subscribe((event) => {
    counts.set(event.name, (counts.get(event.name) ?? 0) + 1);
    if (event.name === "docker.connected") away.delete(event.data.engine);
    else if (event.name === "docker.disconnected") away.add(event.data.engine);
    else if (event.name === "view.applied") view = { revision: event.data.revision, backends: event.data.backends };
  });
  return {
    byName: () => counts,
    dockerConnected: () =>
      counts.has("docker.connected") || counts.has("docker.disconnected") ? away.size === 0 : undefined,
    view: () => view,
    stop,
  };
}

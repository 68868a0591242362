import type { EventBus } from "@smartstack/core";
import { countEvents } from "./event-counts.ts";
import type { MetricsText } from "./metric-families.ts";
import type { AdminSources } from "./sources.ts";

export interface Metrics {
  render(): Promise<MetricsText>;
  close(): void;
}

/**
 * Metrics in base units. Events are counted from now on; everything else is made at the first scrape, as the client
 * library brings more memory with it than a sidecar that nobody scrapes should hold.
 */
export function createMetrics(sources: AdminSources, events: EventBus): Metrics {
  const counts = countEvents(events);
  let families: Promise<() => Promise<MetricsText>> | undefined;
  const load = async (): Promise<() => Promise<MetricsText>> => {
    const { metricFamilies } = await import("./metric-families.ts");
    return metricFamilies(sources, counts);
  };
  return {
    async render() {
      families ??= load();
      return (await families)();
    },
    close: counts.stop,
  };
}

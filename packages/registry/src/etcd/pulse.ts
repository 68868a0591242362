import { type Clock, withDeadline } from "@smartstack/core";
import type { IDuplexStream, IWatchRequest, IWatchResponse } from "etcd3";
import { PROBE_MS_MAX } from "../driver.ts";
import { watchLost } from "../mirror.ts";

/** Asks a watch for a sign of life. @throws StackError REGISTRY_WATCH_LOST when none comes within PROBE_MS_MAX. */
export type Pulse = () => Promise<void>;

/**
 * grpc-js gives each service of etcd a connection of its own, so that an answer to a read says nothing of the watch's.
 * Pings would, but etcd takes more than one in 5 s for an attack. It answers a request for progress at once, or with
 * the events that it still owes; either will do.
 */
export function pulseOf(stream: IDuplexStream<IWatchRequest, IWatchResponse>, clock: Clock, host: string): Pulse {
  const waiting = new Set<() => void>();
  stream.on("data", () => {
    for (const heard of waiting) heard();
    waiting.clear();
  });
  return async () => {
    let heard = (): void => undefined;
    const sign = new Promise<void>((resolve) => {
      heard = resolve;
      waiting.add(heard);
    });
    stream.write({ progress_request: {} });
    const what = `etcd ${host} watch progress`;
    try {
      await withDeadline(sign, { clock, ms: PROBE_MS_MAX, what, side: "registry" });
    } catch (error) {
      throw watchLost("etcd's watch gives no sign of life", error);
    } finally {
      waiting.delete(heard);
    }
  };
}

import { EventEmitter } from "node:events";

/**
 * Facts the parts emit; logging, metrics and the events API subscribe. One name per transition, never per probe or per
 * request. A new event is one line here, and one line in the cli's table of sentences.
 */
export interface EventTable {
  "docker.connected": { readonly engine: string };
  "docker.disconnected": { readonly engine: string; readonly reason: string };
  "docker.drift": { readonly container: string; readonly what: string };
  "container.registered": {
    readonly container: string;
    readonly service: string;
    readonly id: string;
    readonly address: string;
  };
  "container.refused": { readonly container: string; readonly reason: string };
  "container.warned": { readonly container: string; readonly warning: string };
  "instance.announced": { readonly service: string; readonly id: string; readonly address: string };
  "instance.withdrawn": { readonly service: string; readonly id: string; readonly reason: string };
  /** The registry does not take this entry, or does not let go of it; the others go on. */
  "instance.refused": { readonly service: string; readonly id: string; readonly reason: string };
  "instance.repaired": { readonly service: string; readonly id: string };
  "check.changed": { readonly service: string; readonly id: string; readonly up: boolean; readonly reason: string };
  /** Every instance of the service on this node fails its checks: the last ones stay announced (on_all_down: keep). */
  "service.held": { readonly service: string; readonly instances: number };
  "service.released": { readonly service: string };
  "nerve.fenced": { readonly node: string; readonly reason: string };
  "registry.connected": { readonly registry: string; readonly role: "announce" | "watch" };
  "registry.disconnected": { readonly registry: string; readonly role: "announce" | "watch"; readonly reason: string };
  "registry.document_rejected": { readonly service: string; readonly id: string; readonly reason: string };
  "service.discovered": { readonly service: string };
  "service.conflict": { readonly service: string; readonly reason: string };
  "backend.added": { readonly service: string; readonly id: string; readonly address: string };
  "backend.removed": {
    readonly service: string;
    readonly id: string;
    readonly address: string;
    readonly reason: string;
  };
  "backend.suspect": {
    readonly service: string;
    readonly id: string;
    readonly address: string;
    readonly reason: string;
  };
  "backend.state": { readonly service: string; readonly id: string; readonly state: string; readonly reason: string };
  "backend.health": {
    readonly service: string;
    readonly id: string;
    readonly address: string;
    readonly up: boolean;
    readonly reason: string;
  };
  /** Out of its pool for what its answers showed, for a while; and in it again. */
  "backend.ejected": {
    readonly service: string;
    readonly id: string;
    readonly address: string;
    readonly reason: string;
  };
  "backend.returned": { readonly service: string; readonly id: string; readonly address: string };
  "listener.bound": { readonly service: string; readonly address: string };
  "listener.failed": { readonly service: string; readonly address: string; readonly reason: string };
  "listener.closed": { readonly service: string; readonly address: string };
  /** A process of the data path cannot keep up and turns away a part of what is new; and takes all again. */
  "proxy.overloaded": { readonly pid: number };
  "proxy.relieved": { readonly pid: number };
  "worker.started": { readonly pid: number };
  "worker.ended": { readonly pid: number; readonly reason: string };
  /** All data-plane processes were replaced by new ones. */
  "workers.replaced": { readonly workers: number };
  /** They were not, because the new ones did not come to serve. */
  "workers.kept": { readonly reason: string };
  "view.applied": { readonly revision: number; readonly services: number; readonly backends: number };
  "cache.loaded": { readonly file: string; readonly services: number };
  "cache.failed": { readonly file: string; readonly reason: string };
  "config.reloaded": { readonly file: string };
  "config.rejected": { readonly file: string; readonly reason: string };
  "config.warning": { readonly file: string; readonly warning: string };
  "admin.listening": { readonly address: string };
  "admin.failed": { readonly address: string; readonly reason: string };
}

export type EventName = keyof EventTable;

/** One event as subscribers see it; `name` discriminates `data`. */
export type StackEvent = { readonly [N in EventName]: { readonly name: N; readonly data: EventTable[N] } }[EventName];

export interface EventBus {
  publish<N extends EventName>(name: N, data: EventTable[N]): void;
  /** Returns the unsubscribe function. A subscriber that throws does not reach the publisher. */
  subscribe(listener: (event: StackEvent) => void): () => void;
}

export function eventBus(): EventBus {
  const emitter = new EventEmitter().setMaxListeners(0);
  return {
    publish(name, data) {
      emitter.emit("event", { name, data } as StackEvent);
    },
    subscribe(listener) {
      const guarded = (event: StackEvent): void => {
        try {
          listener(event);
        } catch (error) {
          process.emitWarning(`subscriber of ${event.name} failed: ${String(error)}`);
        }
      };
      emitter.on("event", guarded);
      return () => emitter.off("event", guarded);
    },
  };
}

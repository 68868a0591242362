import type { EventName, EventTable, StackEvent } from "@smartstack/core";
import type { Role } from "./config.ts";

export type Level = "debug" | "info" | "warn" | "error";

export interface Sentence {
  readonly level: Level;
  readonly text: string;
}

type Told<N extends EventName> = readonly [level: Level, text: (data: EventTable[N], role: Role) => string];

/** Every event and the one plain sentence that tells it. Debug sentences are for the log files of those who ask. */
const SENTENCES: { readonly [N in EventName]: Told<N> } = {
  "docker.connected": ["info", (d) => `Docker at ${d.engine} is connected`],
  "docker.disconnected": ["warn", (d) => `Docker at ${d.engine} is away, trying on: ${d.reason}`],
  "docker.drift": ["warn", (d) => `container ${d.container} was not as its events said: ${d.what}`],
  "container.registered": ["debug", (d) => `container ${d.container} offers ${d.service} at ${d.address}`],
  "container.refused": ["warn", (d) => `container ${d.container} is not registered: ${d.reason}`],
  "container.warned": ["warn", (d) => `container ${d.container}: ${d.warning}`],
  "instance.announced": ["info", (d) => `${d.service}: ${d.address} announced (${d.id})`],
  "instance.withdrawn": ["info", (d) => `${d.service}: ${d.id} withdrawn: ${d.reason}`],
  "instance.refused": ["warn", (d) => `${d.service}: the registry refuses to change ${d.id}, trying on: ${d.reason}`],
  "instance.repaired": ["warn", (d) => `${d.service}: ${d.id} was changed in the registry by someone else, put back`],
  "check.changed": ["info", (d) => `${d.service}: ${d.id} is ${d.up ? "healthy" : "unhealthy"}: ${d.reason}`],
  "service.held": [
    "warn",
    (d) =>
      `${d.service}: every instance here fails its check at once, so the last ${d.instances} stay announced (on_all_down: keep)`,
  ],
  "service.released": ["info", (d) => `${d.service}: its checks decide again what is announced`],
  "nerve.fenced": ["error", (d) => `this nerve writes nothing more: ${d.reason}`],
  "registry.connected": ["info", (d) => `registry ${d.registry} is connected (${d.role})`],
  "registry.disconnected": [
    "warn",
    (d) => `registry ${d.registry} is away (${d.role}), serving what is known and trying on: ${d.reason}`,
  ],
  "registry.document_rejected": ["warn", (d) => `${d.service}: document ${d.id} is ignored: ${d.reason}`],
  "service.discovered": ["debug", (d) => `${d.service}: discovered`],
  "service.conflict": ["warn", (d) => `${d.service}: ${d.reason}`],
  "backend.added": ["info", (d) => `${d.service}: backend ${d.address} added (${d.id})`],
  "backend.removed": ["info", (d) => `${d.service}: backend ${d.address} removed: ${d.reason}`],
  "backend.suspect": ["warn", (d) => `${d.service}: backend ${d.address} is suspect: ${d.reason}`],
  "backend.state": ["info", (d) => `${d.service}: backend ${d.id} is ${d.state}: ${d.reason}`],
  "backend.ejected": ["warn", (d) => `${d.service}: backend ${d.address} is ${d.reason}`],
  "backend.returned": ["info", (d) => `${d.service}: backend ${d.address} is back in its pool`],
  "backend.health": ["info", (d) => `${d.service}: backend ${d.address} is ${d.up ? "up" : "down"}: ${d.reason}`],
  "listener.bound": ["info", (d) => `${d.service}: listening on ${d.address}`],
  "listener.failed": ["warn", (d) => `${d.service}: cannot listen on ${d.address}, trying on: ${d.reason}`],
  "listener.closed": ["info", (d) => `${d.service}: no longer listening on ${d.address}`],
  "proxy.overloaded": [
    "warn",
    (d) => `process ${d.pid} cannot keep up: a part of new requests and connections is turned away`,
  ],
  "proxy.relieved": ["info", (d) => `process ${d.pid} keeps up again and takes whatever comes`],
  "worker.started": ["debug", (d) => `worker ${d.pid} serves`],
  "worker.ended": ["warn", (d) => `worker ${d.pid} ended, starting another: ${d.reason}`],
  "workers.replaced": ["info", (d) => `${d.workers} new workers serve, the old ones finish what they have`],
  "workers.kept": ["error", (d) => `the workers were not replaced, the present ones go on: ${d.reason}`],
  "view.applied": ["debug", (d) => `view ${d.revision}: ${d.services} services, ${d.backends} backends`],
  "cache.loaded": ["info", (d) => `serving ${d.services} services from ${d.file} until the registry answers`],
  "cache.failed": ["warn", (d) => `cache ${d.file} cannot be used: ${d.reason}`],
  "config.reloaded": ["info", (d) => `${d.file} is in force`],
  "config.rejected": ["error", (d) => `${d.file} is wrong, the last good configuration stays in force: ${d.reason}`],
  "config.warning": ["warn", (d) => d.warning],
  "admin.listening": ["info", (d) => `admin API on ${d.address}`],
  "admin.failed": ["warn", (d) => `admin API cannot listen on ${d.address}, going on without it: ${d.reason}`],
};

// The registry inside the process: it is never away.
const OWN_REGISTRY: readonly string[] = ["memory", "this process"];

/** A process of another version may publish events that this one has no sentence for. */
export function isKnownEvent(name: string): name is EventName {
  return Object.hasOwn(SENTENCES, name);
}

/** What to tell of an event. */
export function sentenceOf(event: StackEvent, role: Role): Sentence {
  const [level, text] = SENTENCES[event.name] as Told<EventName>;
  const quiet = isTwice(event, role);
  return { level: quiet ? "debug" : level, text: text(event.data as never, role) };
}

/** Whether another sentence says the same: in one process with nerve, synapse tells of the backend a moment later. */
function isTwice(event: StackEvent, role: Role): boolean {
  if (event.name === "registry.connected") return OWN_REGISTRY.includes(event.data.registry);
  if (role !== "up") return false;
  if (event.name === "check.changed") return event.data.up;
  return event.name === "instance.announced" || event.name === "instance.withdrawn";
}

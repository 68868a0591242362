import { type Cancel, type Clock, describeError } from "@smartstack/core";
import { type ContainerTable, containerTable, isInspected, type Tracked } from "./container-table.ts";
import { containerFacts } from "./containers.ts";
import type { ContainerSummary, DockerApi } from "./docker-api.ts";
import { drift, seemsRestarted, summaryFacts } from "./drift.ts";
import { type InspectQueue, inspectQueue } from "./inspect-queue.ts";
import type { ContainerEvent } from "./lifecycle.ts";

/** An event about what a list showed first may still be under way; after this long it was lost. */
const EVENT_LATE_MS = 1_000;

export interface PictureDeps {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onChange: (id: string) => void;
  /** A list showed what no event had told. */
  readonly onDrift: (container: string, what: string) => void;
}

/** What is looked at, and through what. */
export interface Lens {
  readonly api: DockerApi;
  /** The label filters, `key` or `key=value`. */
  readonly labels: readonly string[];
  readonly keepsEnv: (variable: string) => boolean;
}

/** The picture of the engine's containers, drawn from events, inspects and lists. */
export interface ContainerPicture extends Pick<ContainerTable, "all" | "find" | "usersOf"> {
  event(event: ContainerEvent, lens: Lens): void;
  /** `whole`: inspect every container that runs; else only those that the list shows differently. */
  list(found: readonly ContainerSummary[], beganMs: number, whole: boolean, lens: Lens): void;
  /** Drops what waits to be inspected. */
  pause(): void;
}

export function containerPicture(deps: PictureDeps): ContainerPicture {
  const { clock, signal, onChange } = deps;
  let lens: Lens | undefined;
  const recheck = rechecker(clock, signal, (id) => queue.request(id));
  const table = containerTable(clock, (id) => {
    recheck(table.all().get(id), id);
    onChange(id);
  });
  const queue: InspectQueue = inspectQueue(
    async (id) => {
      if (lens !== undefined) await inspect(id, lens, table, clock, signal);
    },
    (id, error) => {
      if (table.all().has(id)) table.problem(id, describeError(error));
    },
  );
  const report = driftReporter(deps, table);

  return {
    all: () => table.all(),
    find: table.find,
    usersOf: table.usersOf,
    event(event, through) {
      lens = through;
      const { container, action, labels } = event;
      if (labels !== undefined && !matchesLabels(labels, lens.labels)) return;
      if (action === "destroy") {
        queue.cancel(container);
        return table.remove(container);
      }
      const known = table.all().has(container);
      // Networks come before the start, and tell of containers that the label filters leave out.
      if (!known && (action === "connect" || action === "disconnect")) return;
      // A signal is told by its event only: who is not known yet must not be taken for one that stays.
      if (known || action === "start" || action === "kill") table.event(event);
      // What a signal does is told by the events after it; should there be none, it is looked at when its time is up.
      if (action === "kill" && isInspected(table.all().get(container)?.facts)) return;
      queue.request(container);
    },
    list(found, beganMs, whole, through) {
      lens = through;
      for (const summary of found) {
        const id = summary.Id;
        const known = table.all().get(id);
        const facts = known?.facts;
        if (facts === undefined && summary.State !== "running") {
          table.facts(summaryFacts(summary), beganMs);
          continue;
        }
        const what = facts && drift(facts, summary);
        if (what !== undefined && !whole) report(id, what);
        const isTrusted = known?.facts !== undefined && what === undefined && known?.problem === undefined;
        if (whole || !isTrusted || seemsRestarted(known.facts, summary, beganMs - known.factsMs)) {
          table.add(id);
          queue.request(id);
        }
      }
      for (const id of missing(table, found, beganMs)) {
        if (!whole) report(id, "is gone");
        table.remove(id);
      }
    },
    pause: () => queue.clear(),
  };
}

async function inspect(
  id: string,
  lens: Lens,
  table: ContainerTable,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const beganMs = clock.monotonic();
  const known = table.all().has(id);
  const json = await lens.api.inspect(id);
  if (json !== undefined && json.Id !== id) throw new Error(`docker answered about ${json.Id} when asked about ${id}`);
  // Removed while the answer was on its way: it speaks of a container that is gone.
  if (signal.aborted || (known && !table.all().has(id))) return;
  const facts = json === undefined ? undefined : containerFacts(json, lens.keepsEnv);
  if (facts === undefined || !matchesLabels(facts.labels, lens.labels)) table.remove(id);
  else table.facts(facts, beganMs);
}

/** Known, but neither listed nor heard of since the list was asked for. */
function missing(table: ContainerTable, found: readonly ContainerSummary[], beganMs: number): string[] {
  const present = new Set(found.map((summary) => summary.Id));
  return [...table.all().values()]
    .filter((known) => !present.has(known.id) && Math.max(known.factsMs, known.eventMs) < beganMs)
    .map((known) => known.id);
}

/**
 * A container that was sent its stop signal and still runs long after it is looked at again: once, as the comparison
 * with the list asks again for what could not be inspected.
 */
function rechecker(
  clock: Clock,
  signal: AbortSignal,
  look: (id: string) => void,
): (tracked: Tracked | undefined, id: string) => void {
  const waiting = new Map<string, Cancel>();
  signal.addEventListener("abort", () => {
    for (const cancel of waiting.values()) cancel();
  });
  return (tracked, id) => {
    waiting.get(id)?.();
    waiting.delete(id);
    if (tracked?.lifecycle.phase !== "leaving" || tracked.problem !== undefined || signal.aborted) return;
    waiting.set(
      id,
      clock.after(tracked.lifecycle.untilMs - clock.monotonic(), () => look(id)),
    );
  };
}

/** Only what no event tells in time is drift: an event may be under way when a list already knows. */
function driftReporter(deps: PictureDeps, table: ContainerTable): (id: string, what: string) => void {
  const { clock, signal, onDrift } = deps;
  return (id, what) => {
    const before = table.all().get(id);
    const seenMs = before?.eventMs ?? Number.NEGATIVE_INFINITY;
    if (clock.monotonic() - seenMs < EVENT_LATE_MS) return;
    const name = before?.facts?.name ?? id.slice(0, 12);
    const confirm = (): void => {
      const eventMs = table.all().get(id)?.eventMs ?? seenMs;
      if (eventMs === seenMs && !signal.aborted) onDrift(name, what);
    };
    clock.after(EVENT_LATE_MS, confirm, { background: true });
  };
}

/** As the engine's own label filter: all must match, `key` or `key=value`. Pure. */
export function matchesLabels(labels: Readonly<Record<string, string>>, filters: readonly string[]): boolean {
  return filters.every((filter) => {
    const at = filter.indexOf("=");
    return at < 0 ? filter in labels : labels[filter.slice(0, at)] === filter.slice(at + 1);
  });
}

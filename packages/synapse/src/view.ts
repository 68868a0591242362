import { applyBatch, type Batch, type Instance, NO_ENTRIES, type ServiceEntries } from "@smartstack/core";
import { addressText } from "./address.ts";

/** An instance whose registration vanished without a word from the nerve that made it: its host died, or the registry lost it. */
export interface Suspect {
  readonly instance: Instance;
  /** Monotonic milliseconds. */
  readonly sinceMs: number;
  /** Monotonic milliseconds; undefined while the registry cannot be read: a hold counts only time in which it could have come back. */
  readonly untilMs: number | undefined;
  readonly reason: string;
}

/** What is known of one service. Immutable; times are monotonic milliseconds. */
export interface ServiceView {
  /** The last truth read from the registry. */
  readonly entries: ServiceEntries;
  /** By instance id; never an id that is in `entries`. */
  readonly suspects: ReadonlyMap<string, Suspect>;
  /** Since when the proxy cannot use an instance, by id. */
  readonly downSince: ReadonlyMap<string, number>;
  /** The registry cannot be read now: since when, and why. */
  readonly unread: { readonly sinceMs: number; readonly reason: string } | undefined;
  /** What is held comes from another discovery than the one watched now: the next batch replaces it outright. */
  readonly provisional: boolean;
}

export type ViewInput =
  | { readonly type: "batch"; readonly batch: Batch }
  | { readonly type: "unread"; readonly reason: string }
  | { readonly type: "cached"; readonly instances: ReadonlyMap<string, Instance> }
  /** The service is now discovered elsewhere. */
  | { readonly type: "moved" }
  | { readonly type: "health"; readonly id: string; readonly up: boolean }
  /** Addresses announced under other services, with the id they were announced under. */
  | { readonly type: "claimed"; readonly owners: ReadonlyMap<string, string> }
  | { readonly type: "tick" };

/** What changed for one instance, for events and logs. */
export interface Fact {
  readonly kind: "added" | "removed" | "suspect" | "state";
  readonly id: string;
  readonly instance: Instance;
  readonly reason: string;
}

export interface ViewSettings {
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  /** How long a suspect may stay. */
  readonly holdMs: number;
  /** A suspect, probed once a second, that is down this long leaves: `fall` failed probes. */
  readonly fallMs: number;
}

export interface Step {
  readonly view: ServiceView;
  readonly facts: readonly Fact[];
}

export function initialView(nowMs: number): ServiceView {
  return {
    entries: NO_ENTRIES,
    suspects: new Map(),
    downSince: new Map(),
    unread: { sinceMs: nowMs, reason: "not read yet" },
    provisional: false,
  };
}

/** Everything that may take traffic: the registry's instances, and the suspects beside them. */
export function knownInstances(view: ServiceView): ReadonlyMap<string, Instance> {
  const known = new Map(view.entries.instances);
  for (const [id, suspect] of view.suspects) known.set(id, suspect.instance);
  return known;
}

/** The next state of one service, and what changed. Pure; the same view is returned when nothing did. */
export function nextView(view: ServiceView, input: ViewInput, settings: ViewSettings): Step {
  switch (input.type) {
    case "batch":
      return afterBatch(view, input.batch, settings);
    case "unread":
      return unread(view, input.reason, settings.nowMs);
    case "cached":
      return cached(view, input.instances, settings.nowMs);
    case "moved":
      return { view: { ...unread(view, "not read yet", settings.nowMs).view, provisional: true }, facts: [] };
    case "health":
      return afterHealth(view, input.id, input.up, settings.nowMs);
    case "claimed":
      return release(view, ({ instance }, id) => claimReason(instance, id, input.owners));
    case "tick":
      return release(view, (suspect, id) => overdueReason(view, suspect, id, settings));
  }
}

function afterBatch(view: ServiceView, batch: Batch, settings: ViewSettings): Step {
  const entries = applyBatch(view.entries, batch);
  const owners = ownersOf(entries.instances);
  const before = knownInstances(view);
  const suspects = new Map<string, Suspect>();
  const facts: Fact[] = [];
  for (const [id, instance] of lastDocuments(before, batch)) {
    if (entries.instances.has(id)) continue;
    const verdict = judge(instance, id, entries, owners, view.provisional);
    if (!verdict.held) {
      facts.push({ kind: "removed", id, instance, reason: verdict.reason });
      continue;
    }
    const earlier = view.suspects.get(id);
    const untilMs = earlier?.untilMs ?? settings.nowMs + settings.holdMs;
    if (earlier === undefined) facts.push({ kind: "suspect", id, instance, reason: verdict.reason });
    suspects.set(id, { instance, sinceMs: earlier?.sinceMs ?? settings.nowMs, untilMs, reason: verdict.reason });
  }
  for (const [id, instance] of entries.instances) facts.push(...arrival(view, before.get(id), id, instance));
  // A verdict on a backend holds for its address: the proxy begins anew with another one, and with one that came back.
  const stays = (id: string): boolean => suspects.has(id) || sameAddress(before.get(id), entries.instances.get(id));
  const downSince = new Map([...view.downSince].filter(([id]) => stays(id)));
  return { view: { entries, suspects, downSince, unread: undefined, provisional: false }, facts };
}

/**
 * Why an instance that is no longer in the registry leaves, or stays as a suspect. Judged from what lies there now, not
 * from the order in which things were seen to go: after a reconnect there is only a state to look at.
 */
function judge(
  instance: Instance,
  id: string,
  truth: ServiceEntries,
  owners: ReadonlyMap<string, string>,
  provisional: boolean,
): { readonly held: boolean; readonly reason: string } {
  if (provisional) return { held: false, reason: "the service is discovered elsewhere now" };
  const claimed = claimReason(instance, id, owners);
  if (claimed !== undefined) return { held: false, reason: claimed };
  if (instance.node === undefined || instance.boot === undefined) {
    // Layouts without node entries cannot tell a deletion from a loss, but a registry that forgot everything is empty.
    return truth.instances.size > 0
      ? { held: false, reason: "deleted from the registry" }
      : { held: true, reason: "the registry answers with no instance at all" };
  }
  const node = truth.nodes.get(instance.node);
  if (node?.boot === instance.boot) return { held: false, reason: `withdrawn by ${instance.node}` };
  const what =
    node === undefined ? "vanished together with its node's entry" : "not announced again since its node restarted";
  return { held: true, reason: `${what} (node ${instance.node})` };
}

/** The last document seen of each known instance: the one whose boot counts may have come within this very batch. */
function lastDocuments(known: ReadonlyMap<string, Instance>, batch: Batch): ReadonlyMap<string, Instance> {
  const last = new Map(known);
  for (const update of batch) {
    const entries = update.type === "reset" ? update.entries : update.type === "put" ? [update.entry] : [];
    for (const entry of entries) {
      if (entry.kind === "instance" && known.has(entry.id)) last.set(entry.id, entry.instance);
    }
  }
  return last;
}

function ownersOf(instances: ReadonlyMap<string, Instance>): ReadonlyMap<string, string> {
  return new Map([...instances].map(([id, instance]) => [addressText(instance.host, instance.port), id]));
}

function claimReason(instance: Instance, id: string, owners: ReadonlyMap<string, string>): string | undefined {
  const address = addressText(instance.host, instance.port);
  const owner = owners.get(address);
  return owner === undefined || owner === id ? undefined : `${address} is announced as ${owner} now`;
}

function arrival(view: ServiceView, before: Instance | undefined, id: string, now: Instance): Fact[] {
  if (before === undefined) return [{ kind: "added", id, instance: now, reason: "announced" }];
  if (!sameAddress(before, now)) {
    return [
      { kind: "removed", id, instance: before, reason: "its address changed" },
      { kind: "added", id, instance: now, reason: "its address changed" },
    ];
  }
  if (view.suspects.has(id)) return [{ kind: "state", id, instance: now, reason: "announced again" }];
  return (before.state ?? "up") === (now.state ?? "up")
    ? []
    : [{ kind: "state", id, instance: now, reason: "set in the registry" }];
}

function sameAddress(a: Instance | undefined, b: Instance | undefined): boolean {
  return a !== undefined && b !== undefined && a.host === b.host && a.port === b.port;
}

function unread(view: ServiceView, reason: string, nowMs: number): Step {
  const suspects = new Map([...view.suspects].map(([id, suspect]) => [id, { ...suspect, untilMs: undefined }]));
  return { view: { ...view, suspects, unread: { sinceMs: view.unread?.sinceMs ?? nowMs, reason } }, facts: [] };
}

function cached(view: ServiceView, instances: ReadonlyMap<string, Instance>, nowMs: number): Step {
  const reason = "remembered from an earlier run";
  const suspects = new Map(view.suspects);
  const facts: Fact[] = [];
  for (const [id, instance] of instances) {
    if (view.entries.instances.has(id)) continue;
    suspects.set(id, { instance, sinceMs: nowMs, untilMs: undefined, reason });
    facts.push({ kind: "added", id, instance, reason });
  }
  return { view: { ...view, suspects }, facts };
}

function afterHealth(view: ServiceView, id: string, up: boolean, nowMs: number): Step {
  if (up !== view.downSince.has(id) || (!up && !knownInstances(view).has(id))) return { view, facts: [] };
  const downSince = new Map(view.downSince);
  if (up) downSince.delete(id);
  else downSince.set(id, nowMs);
  return { view: { ...view, downSince }, facts: [] };
}

function overdueReason(view: ServiceView, suspect: Suspect, id: string, at: ViewSettings): string | undefined {
  const downMs = view.downSince.get(id);
  // Being found down once is not enough: one reset connection must not cost a backend that a registry merely forgot.
  if (downMs !== undefined && at.nowMs - Math.max(downMs, suspect.sinceMs) >= at.fallMs)
    return `${suspect.reason}, and its probes fail`;
  if (suspect.untilMs !== undefined && at.nowMs >= suspect.untilMs)
    return `${suspect.reason}, and has not come back within hold`;
  return undefined;
}

function release(view: ServiceView, reasonOf: (suspect: Suspect, id: string) => string | undefined): Step {
  const suspects = new Map(view.suspects);
  const downSince = new Map(view.downSince);
  const facts: Fact[] = [];
  for (const [id, suspect] of view.suspects) {
    const reason = reasonOf(suspect, id);
    if (reason === undefined) continue;
    suspects.delete(id);
    downSince.delete(id);
    facts.push({ kind: "removed", id, instance: suspect.instance, reason });
  }
  return facts.length === 0 ? { view, facts } : { view: { ...view, suspects, downSince }, facts };
}

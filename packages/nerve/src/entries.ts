import type { Instance } from "@smartstack/core";
import { whyOut } from "./container-table.ts";
import type { DockerSource } from "./docker-source.ts";
import type { Registration } from "./registrations.ts";

/** What the rules below look at. */
export interface EntryFacts {
  /** What lies in the registry, by entryKey. */
  readonly entries: ReadonlyMap<string, Instance>;
  readonly registrations: ReadonlyMap<string, Registration>;
  /** Undefined when Docker is switched off. */
  readonly source: Pick<DockerSource, "find" | "listed" | "judged"> | undefined;
}

/**
 * May an entry that is not up stay as it is? While nothing is known against it: what an earlier run left, until the
 * engine's list, its container and its check have spoken.
 */
export function keepsEntry(key: string, facts: EntryFacts): boolean {
  const { source } = facts;
  const entry = facts.entries.get(key);
  const registration = facts.registrations.get(key);
  if (entry === undefined) return false;
  if (registration !== undefined) {
    const { host, port } = registration.offer.instance;
    return registration.health === "starting" && entry.host === host && entry.port === port;
  }
  if (source === undefined || entry.container === undefined) return false;
  if (!source.listed()) return true;
  const tracked = source.find(entry.container);
  if (tracked === undefined || tracked.lifecycle.phase !== "in") return false;
  if (tracked.facts === undefined) return true;
  return whyOut(tracked) === undefined && source.judged().get(tracked.id)?.verdict.pending === true;
}

/** Why an entry is taken away, for people. */
export function withdrawalReason(key: string, facts: EntryFacts): string {
  const { source } = facts;
  const registration = facts.registrations.get(key);
  if (registration?.health === "starting") return "its address has changed";
  if (registration !== undefined) return registration.reason;
  const container = facts.entries.get(key)?.container;
  if (container === undefined) return "no longer in the configuration";
  const tracked = source?.find(container);
  if (tracked === undefined) return "its container is gone";
  return whyOut(tracked) ?? source?.judged().get(tracked.id)?.verdict.refusals[0] ?? "no longer offered";
}

/** False for what is gone for good. A paused container comes back, and keeps what its operator said. */
export function mayComeBack(key: string, facts: EntryFacts): boolean {
  const { source } = facts;
  if (source === undefined || !source.listed() || facts.registrations.has(key)) return true;
  const container = /^([0-9a-f]{12})-\d+(?:-udp)?$/.exec(key.slice(key.indexOf("/") + 1))?.[1];
  return container === undefined || source.find(container) !== undefined;
}

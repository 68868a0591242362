import type { StackError } from "./errors.ts";
import type { Instance, InstanceRecord, NodeEntry } from "./instance.ts";
import type { Batch } from "./update.ts";

/**
 * The interface to one kind of registry. A driver never retries by itself: any doubt is thrown, and keepAlive, around
 * every use of it, comes again. Every promise settles within the driver's own deadline, whatever the server does.
 */
export interface Registry {
  /** The driver's name in configuration: memory, file, etcd, zookeeper. */
  readonly type: string;

  /**
   * Takes this node's entries over: from nobody, from an earlier run of this nerve, or from its own lost session.
   * `restore` is put back atomically with the node entry, so that no watcher ever sees this boot's node entry without
   * the instances that belong to it. Entries of this node that are not in `restore` move to the new session as they are
   * (with this boot), so that nothing expires while a restarted nerve still looks around; the caller drops what no
   * longer runs. What another living nerve holds is left to it.
   * @throws StackError REGISTRY_* ; REGISTRY_FENCED when another nerve has taken over a node entry that carried our own boot.
   */
  announce(owner: NodeEntry, restore: readonly InstanceRecord[], signal: AbortSignal): Promise<Session>;

  /**
   * Everything about one service: its instances, and the node entries of all nerves. The first batch begins with a
   * `reset`. Ends only by throwing, or when `signal` aborts.
   */
  watch(service: string, signal: AbortSignal): AsyncIterable<Batch>;

  /** The names of all services that have an entry, sorted: at once, then after each change. */
  services(signal: AbortSignal): AsyncIterable<readonly string[]>;

  /** What an operator wants to know. Cheap: no I/O. */
  status(): RegistryStatus;

  /** Lets go of every connection, watch and timer within 2 s, whatever the server does. Idempotent. Sessions are kept, not withdrawn. */
  close(): Promise<void>;
}

/** A nerve's hold on its node's entries: one lease, one ZooKeeper session, one counter in a file. */
export interface Session {
  /**
   * What the registry holds for this node now, by `entryKey`. Kept by the driver from its own watch, so that a foreign
   * delete or overwrite shows here. It is no copy: it goes on to change.
   */
  entries(): ReadonlyMap<string, Instance>;

  /**
   * Writes one instance; nothing is sent when the same bytes lie there already.
   * @throws StackError; REGISTRY_FENCED; REGISTRY_FAILED while another living nerve holds an entry of that name.
   */
  put(record: InstanceRecord): Promise<void>;

  /** Deletes one instance, on the condition that this boot still owns the node. Absent is fine. @throws as put. */
  drop(service: string, id: string): Promise<void>;

  /** Called after `entries()` changed without our doing. One subscriber; no replay. */
  onForeignChange(notify: () => void): void;

  /** Aborts once, with a StackError REGISTRY_SESSION_LOST or REGISTRY_FENCED as its reason. Not by close(). */
  readonly lost: AbortSignal;

  /**
   * `keep`: stops renewing; the entries live on for one ttl. `withdraw`: instances first, node entry last, if it can be
   * done within 2 s. Never throws, idempotent.
   */
  close(mode: "keep" | "withdraw"): Promise<void>;
}

export interface RegistryStatus {
  readonly type: string;
  /** Where: hosts and prefix, or a folder, for people. No secrets. */
  readonly target: string;
  readonly connected: boolean;
  /** Monotonic milliseconds since `connected` last changed. */
  readonly sinceMs: number;
  /**
   * Monotonic milliseconds since what is known of the contents was last proved to be the truth: by reading all of them, or
   * by an answer that there is no news which has not been told. News alone may be late. Absent before the first proof. Grows while nobody watches.
   */
  readonly stalenessMs?: number;
  /**
   * What the registry itself counts its changes by, as far as it has been seen: etcd's revision, ZooKeeper's zxid, the time
   * of a directory's last change in milliseconds, the commits of memory. The same for all who look at the same.
   */
  readonly revision?: number;
  /** The ZooKeeper session or the etcd lease, as the server's own tools name it. */
  readonly session?: string;
  /** The granted lease or session time. */
  readonly ttlMs?: number;
  readonly lastError?: string;
  readonly counters: RegistryCounters;
}

/** What was done since the registry was opened. */
export interface RegistryCounters {
  /** Everything was read: once at the beginning, and once after each doubt. */
  readonly loads: number;
  /** What became true at one moment, and was told to those who watch; loads among them. */
  readonly batches: number;
  /** Writes and deletes that the registry took: an announcement or a withdrawal is one. */
  readonly writes: number;
  /** Those that it did not take, or did not answer. */
  readonly writeFailures: number;
}

/** The key of an entry in `Session.entries()`. Service names hold no slash. */
export function entryKey(service: string, id: string): string {
  return `${service}/${id}`;
}

/** The reason of an aborted `lost` signal. */
export function lossOf(session: Session): StackError {
  return session.lost.reason as StackError;
}

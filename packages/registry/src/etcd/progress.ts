import type { IWatchResponse } from "etcd3";
import { watchLost } from "../mirror.ts";

/** How far a watch has come, against what the cluster is at. */
export interface Progress {
  /** Of the last event. */
  revision(): bigint;
  /** False for what was listed already. @throws StackError REGISTRY_WATCH_LOST for what is older than the last event. */
  isNews(revision: string): boolean;
  /** After what a response brings was passed on. */
  heard(response: IWatchResponse): void;
  /** The cluster is at this revision. True when the watch has told everything up to there. */
  reaches(present: string): boolean;
}

/**
 * `onProof` is called with a revision whenever the watch has told everything up to what was last seen to be present. Events
 * may be late: only those that reach that far prove anything. (Servers before 3.4.25 and 3.5.8 answer a request for
 * progress ahead of events that they still owe; for those, what is on its way counts as told.)
 */
export function progressFrom(listing: { readonly revision: string }, onProof: (revision: string) => void): Progress {
  const listed = BigInt(listing.revision);
  let last = listed;
  let told = listed;
  let present = listed;
  const reached = (): boolean => {
    if (told < present) return false;
    onProof(String(told));
    return true;
  };
  return {
    revision: () => last,
    isNews(text) {
      const revision = BigInt(text);
      assertNotBefore(last, revision);
      last = revision;
      return revision > listed;
    },
    heard({ created, events, header }) {
      // The first answer tells nothing yet, and one with events may be followed by more up to its header's revision.
      const upTo = created || events.length > 0 ? last : BigInt(header.revision);
      if (upTo > told) told = upTo;
      reached();
    },
    reaches(text) {
      present = BigInt(text);
      return reached();
    },
  };
}

/** A revision that goes back is another history: a restored backup, or an emptied server. */
export function assertNotBefore(known: bigint, next: bigint): void {
  if (next < known) throw watchLost(`etcd's revision went back from ${known} to ${next}`);
}

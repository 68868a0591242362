import { type Clock, every, isStackError } from "@smartstack/core";
import type { IWatchResponse } from "etcd3";
import type { Held } from "../contents.ts";
import { PROBE_EVERY_MS, PROBE_MS_MAX } from "../driver.ts";
import { type Sink, type Source, watchLost } from "../mirror.ts";
import type { EtcdClient } from "./client.ts";
import { heldOf, keyOf, list, pathOf, rangeOf } from "./keys.ts";
import { pulseOf } from "./pulse.ts";
import type { Servers } from "./servers.ts";

export interface EtcdSourceOptions {
  readonly servers: Servers;
  readonly prefix: string;
  readonly clock: Clock;
  /** What the watch has told is the truth, as of this revision. */
  readonly onProof: (revision: string) => void;
}

/** Lists at one revision, then watches from the one after. One watch for all: etcd sends the events of one revision together. */
export function etcdSource(options: EtcdSourceOptions): Source {
  return async (sink, signal) => {
    const client = await options.servers.connect();
    const close = (): void => client.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      const listing = await list(client, options.prefix);
      if (signal.aborted) return;
      await watchFrom(client, listing, sink, signal, options);
    } catch (error) {
      options.servers.blame(client);
      // Whatever etcd answered: without a watch nobody is connected.
      throw isStackError(error) && error.code === "REGISTRY_FAILED" ? watchLost("etcd cannot be read", error) : error;
    } finally {
      signal.removeEventListener("abort", close);
      client.close();
    }
  };
}

async function watchFrom(
  client: EtcdClient,
  listing: { readonly revision: string; readonly entries: ReadonlyMap<string, Held> },
  sink: Sink,
  signal: AbortSignal,
  { prefix, clock, onProof }: EtcdSourceOptions,
): Promise<void> {
  const stream = await client.watch();
  const pulse = pulseOf(stream, clock, client.host);
  let revision = BigInt(listing.revision);
  // A revision that goes back is another history: a restored backup, or an emptied server.
  const assertNotBefore = (known: bigint, next: string): void => {
    if (BigInt(next) < known) throw watchLost(`etcd's revision went back from ${known} to ${next}`);
  };
  const follow = (response: IWatchResponse): void => {
    if (response.canceled) throw watchLost(`etcd cancelled the watch: ${reasonOf(response)}`);
    for (const { kv } of response.events) {
      assertNotBefore(revision, kv.mod_revision);
      revision = BigInt(kv.mod_revision);
    }
    if (response.created || response.events.length > 0) onProof(response.header.revision);
    if (response.created) sink.reset(listing.entries);
    for (const moment of momentsOf(response, prefix)) sink.apply(moment);
  };
  let stopProbing = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const attempt = (work: () => void): void => {
        try {
          work();
        } catch (error) {
          reject(error);
        }
      };
      stream.on("error", (error: unknown) => reject(watchLost("etcd's watch broke", error)));
      stream.on("end", () => reject(watchLost("etcd ended the watch")));
      stream.on("data", (response: IWatchResponse) => attempt(() => follow(response)));
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted) resolve();
      stopProbing = every(clock, PROBE_EVERY_MS, () => {
        // What the watch brings until the answer is here may well be newer than the answer.
        const known = revision;
        Promise.all([probe(client, prefix), pulse()]).then(
          ([seen]) =>
            attempt(() => {
              assertNotBefore(known, seen);
              onProof(seen);
            }),
          reject,
        );
      });
      stream.write({
        create_request: { ...rangeOf(prefix), start_revision: String(revision + 1n), progress_notify: true },
      });
    });
  } finally {
    stopProbing();
    stream.cancel();
  }
}

/**
 * The revision that the cluster is at. A quiet watch looks the same on a living server and on a frozen one: ask, and take
 * no answer for a broken watch.
 */
async function probe(client: EtcdClient, prefix: string): Promise<string> {
  const response = await client.range({ key: keyOf(prefix, ""), limit: 1 }, PROBE_MS_MAX);
  return response.header.revision;
}

/** One map for each revision: what happened one after the other must not look as if it happened together. */
function momentsOf(response: IWatchResponse, prefix: string): Map<string, Held | undefined>[] {
  const moments = new Map<string, Map<string, Held | undefined>>();
  for (const { type, kv } of response.events) {
    const moment = moments.get(kv.mod_revision) ?? new Map<string, Held | undefined>();
    moments.set(
      kv.mod_revision,
      moment.set(pathOf(prefix, kv.key), String(type).toUpperCase() === "DELETE" ? undefined : heldOf(kv)),
    );
  }
  return [...moments.values()];
}

function reasonOf(response: IWatchResponse): string {
  if (response.compact_revision !== "0") return `revisions up to ${response.compact_revision} were compacted`;
  return response.cancel_reason || "no reason given";
}

import { type Clock, every, isStackError } from "@smartstack/core";
import type { IWatchResponse } from "etcd3";
import type { Held } from "../contents.ts";
import { PROBE_EVERY_MS, PROBE_MS_MAX } from "../driver.ts";
import { type Sink, type Source, watchLost } from "../mirror.ts";
import type { EtcdClient } from "./client.ts";
import { heldOf, keyOf, type Listing, list, pathOf, rangeOf } from "./keys.ts";
import { assertNotBefore, progressFrom } from "./progress.ts";
import { pulseOf } from "./pulse.ts";
import type { Servers } from "./servers.ts";

export interface EtcdSourceOptions {
  readonly servers: Servers;
  readonly prefix: string;
  readonly clock: Clock;
  /** What the watch has told is the truth, as of this revision. */
  readonly onProof: (revision: string) => void;
}

/** Lists at one revision, then watches from there. One watch for all: etcd sends the events of one revision together. */
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
  listing: Listing,
  sink: Sink,
  signal: AbortSignal,
  { prefix, clock, onProof }: EtcdSourceOptions,
): Promise<void> {
  const stream = await client.watch();
  const pulse = pulseOf(stream, clock, client.host);
  const progress = progressFrom(listing, onProof);
  const follow = (response: IWatchResponse): void => {
    if (response.canceled) throw watchLost(`etcd cancelled the watch: ${reasonOf(response)}`);
    const news = response.events.filter(({ kv }) => progress.isNews(kv.mod_revision));
    if (response.created) sink.reset(listing.entries);
    for (const moment of momentsOf(news, prefix)) sink.apply(moment);
    progress.heard(response);
  };
  const probeOnce = async (): Promise<void> => {
    // What the watch brings until the answer is here may well be newer than the answer.
    const known = progress.revision();
    const probed = async (): Promise<string> => {
      const seen = await probe(client, prefix);
      assertNotBefore(known, BigInt(seen));
      return seen;
    };
    const [present] = await Promise.all([probed(), pulse()]);
    // The watch's answer may have left the server just before the other one.
    if (!progress.reaches(present)) await pulse();
  };
  let stopProbing = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      stream.on("error", (error: unknown) => reject(watchLost("etcd's watch broke", error)));
      stream.on("end", () => reject(watchLost("etcd ended the watch")));
      stream.on("data", (response: IWatchResponse) => {
        try {
          follow(response);
        } catch (error) {
          reject(error);
        }
      });
      signal.addEventListener("abort", () => resolve(), { once: true });
      if (signal.aborted) resolve();
      stopProbing = every(clock, PROBE_EVERY_MS, () => void probeOnce().catch(reject));
      // From what is there, not from the next: newer servers say nothing of the progress of a watch that begins in the
      // future (etcd-io/etcd#20229), so that a quiet one would seem dead.
      stream.write({
        create_request: { ...rangeOf(prefix), start_revision: listing.revision, progress_notify: true },
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
function momentsOf(events: IWatchResponse["events"], prefix: string): Map<string, Held | undefined>[] {
  const moments = new Map<string, Map<string, Held | undefined>>();
  for (const { type, kv } of events) {
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

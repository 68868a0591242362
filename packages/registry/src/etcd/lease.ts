import { type Cancel, type Clock, every, type StackError, withDeadline } from "@smartstack/core";
import type { ILeaseKeepAliveResponse } from "etcd3";
import { CALL_MS_MAX, PROBE_EVERY_MS, PROBE_MS_MAX } from "../driver.ts";
import { sessionLost, unreachable } from "../session.ts";
import type { EtcdClient } from "./client.ts";

export interface Lease {
  readonly id: string;
  readonly ttlMs: number;
}

/** The lease given, renewed, or a new one if that is gone. @throws StackError */
export async function holdLease(
  client: EtcdClient,
  before: Lease | undefined,
  ttlMs: number,
  clock: Clock,
): Promise<Lease> {
  if (before !== undefined && (await renewOnce(client, before, clock))) return before;
  const granted = await client.grant(Math.ceil(ttlMs / 1_000));
  return { id: granted.id, ttlMs: granted.ttlSeconds * 1_000 };
}

/** False when the lease is gone. */
export async function renewOnce(client: EtcdClient, lease: Lease, clock: Clock): Promise<boolean> {
  const stream = await client.keepAlive();
  const what = `etcd ${client.host} lease keepalive`;
  try {
    const answer = new Promise<boolean>((resolve, reject) => {
      stream.on("data", (response: ILeaseKeepAliveResponse) => resolve(response.TTL !== "0"));
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("the server ended it")));
      stream.write({ ID: lease.id });
    });
    return await withDeadline(answer, { clock, ms: CALL_MS_MAX, what, side: "registry" });
  } catch (error) {
    throw unreachable(what, error);
  } finally {
    stream.cancel();
  }
}

/** A lease that is renewed until stopped. */
export interface Keeping {
  /** Asks at once whether the server still answers. */
  renew(): void;
  stop(): void;
}

/**
 * Renews a lease three times in its ttl, and every PROBE_EVERY_MS at least: grpc-js gives leases a connection of their
 * own, on which nothing else would show in time that it has died. `lost` is called once: when the server says that it is
 * gone, when the stream breaks, or when an answer stays out; the lease itself may live on then, to be renewed by the next
 * session. (etcd3's own lease waits for two ttls before it says so, while the server drops the keys after one.)
 */
export async function keepLease(
  client: EtcdClient,
  lease: Lease,
  clock: Clock,
  lost: (error: StackError) => void,
): Promise<Keeping> {
  const stream = await client.keepAlive();
  let cancelSilence: Cancel | undefined;
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    stopRenewing();
    cancelSilence?.();
    stream.cancel();
  };
  const fail = (reason: string, cause?: unknown): void => {
    if (stopped) return;
    stop();
    lost(sessionLost(reason, cause));
  };
  const renew = (): void => {
    if (stopped) return;
    cancelSilence ??= clock.after(PROBE_MS_MAX, () =>
      fail(`etcd did not answer a keepalive within ${PROBE_MS_MAX} ms`),
    );
    stream.write({ ID: lease.id });
  };
  stream.on("data", (response: ILeaseKeepAliveResponse) => {
    cancelSilence?.();
    cancelSilence = undefined;
    if (response.TTL === "0") fail(`lease ${lease.id} is gone`);
  });
  stream.on("error", (error: unknown) => fail("the keepalive stream broke", error));
  stream.on("end", () => fail("etcd ended the keepalive stream"));
  const stopRenewing = every(clock, Math.min(lease.ttlMs / 3, PROBE_EVERY_MS), renew);
  renew();
  return { renew, stop };
}

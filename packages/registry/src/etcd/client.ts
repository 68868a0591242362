import { type Clock, StackError, withDeadline } from "@smartstack/core";
import { noop } from "cockatiel";
import {
  Etcd3,
  EtcdLeaseInvalidError,
  type IDuplexStream,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IRangeRequest,
  type IRangeResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
} from "etcd3";
import { CALL_MS_MAX } from "../driver.ts";
import { sessionLost, unreachable } from "../session.ts";

/** A connection to one etcd server, on which every call ends in time. It never reconnects: on any doubt, make a new one. */
export interface EtcdClient {
  /** `msMax`: default CALL_MS_MAX. */
  range(request: IRangeRequest, msMax?: number): Promise<IRangeResponse>;
  txn(request: ITxnRequest): Promise<ITxnResponse>;
  /** Returns the lease's id and what time the server granted, in seconds. */
  grant(ttlSeconds: number): Promise<{ readonly id: string; readonly ttlSeconds: number }>;
  /** A lease that is gone already is fine. */
  revoke(lease: string): Promise<void>;
  watch(): Promise<IDuplexStream<IWatchRequest, IWatchResponse>>;
  keepAlive(): Promise<IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>>;
  close(): void;
}

// grpc-js shares connections, and the waiting time after a failed one, among all clients of the process unless told
// not to; its default waiting time grows to two minutes. The pings notice a peer that vanished without a word.
const GRPC_OPTIONS = {
  "grpc.keepalive_time_ms": 5_000,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
};

/** Does not connect yet. `host` is `host:port`. */
export function etcdClient(host: string, clock: Clock): EtcdClient {
  // etcd3's own policies retry three times, and open a circuit for 5 s: keepAlive is the one place that retries.
  const client = new Etcd3({
    hosts: [host],
    grpcOptions: GRPC_OPTIONS,
    faultHandling: { host: () => noop, global: noop },
  });
  const call = async <T>(
    what: string,
    work: (options: { deadline: Date }) => Promise<T>,
    ms = CALL_MS_MAX,
  ): Promise<T> => {
    try {
      // The library's deadline is not enough: it does not run while a connection is being made.
      const options = { deadline: new Date(clock.now() + ms) };
      return await withDeadline(work(options), { clock, ms, what: `etcd ${host} ${what}`, side: "registry" });
    } catch (error) {
      throw asStackError(`etcd ${host} ${what}`, error);
    }
  };
  return {
    range: (request, msMax) => call("range", (options) => client.kv.range(request, options), msMax),
    txn: (request) => call("txn", (options) => client.kv.txn(request, options)),
    async grant(ttlSeconds) {
      const granted = await call("lease grant", (options) =>
        client.leaseClient.leaseGrant({ TTL: ttlSeconds }, options),
      );
      return { id: granted.ID, ttlSeconds: Number(granted.TTL) };
    },
    revoke: (lease) =>
      call("lease revoke", async (options) => {
        try {
          await client.leaseClient.leaseRevoke({ ID: lease }, options);
        } catch (error) {
          if (!(error instanceof EtcdLeaseInvalidError)) throw error;
        }
      }),
    watch: () => call("watch", () => client.watchClient.watch()),
    keepAlive: () => call("lease keepalive", () => client.leaseClient.leaseKeepAlive()),
    close: () => client.close(),
  };
}

function asStackError(what: string, error: unknown): StackError {
  if (error instanceof EtcdLeaseInvalidError) return sessionLost("the lease is gone", error);
  if (error instanceof StackError && error.code !== "DEADLINE") return error;
  return unreachable(what, error);
}

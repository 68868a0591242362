import { type Clock, withDeadline } from "@smartstack/core";
import { noop } from "cockatiel";
import {
  Etcd3,
  EtcdLeaseInvalidError,
  type IDuplexStream,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IOptions,
  type IRangeRequest,
  type IRangeResponse,
  type ITxnRequest,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
} from "etcd3";
import { CALL_MS_MAX } from "../driver.ts";
import type { Access } from "./access.ts";
import { etcdError } from "./errors.ts";
import { type Login, login } from "./login.ts";

/** A connection to one etcd server, on which every call ends in time. It never reconnects: on any doubt, make a new one. */
export interface EtcdClient {
  /** host:port */
  readonly host: string;
  /** `msMax`: default CALL_MS_MAX. */
  range(request: IRangeRequest, msMax?: number): Promise<IRangeResponse>;
  txn(request: ITxnRequest): Promise<ITxnResponse>;
  /** Returns the lease's id and what time the server granted, in seconds. */
  grant(ttlSeconds: number): Promise<{ readonly id: string; readonly ttlSeconds: number }>;
  /** A lease that is gone already is fine. */
  revoke(lease: string): Promise<void>;
  /** The keys that hang on a lease; none when it is gone. */
  keysOn(lease: string): Promise<readonly Buffer[]>;
  watch(): Promise<IDuplexStream<IWatchRequest, IWatchResponse>>;
  keepAlive(): Promise<IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>>;
  close(): void;
}

// grpc-js shares connections, and the waiting time after a failed one, among all clients of the process unless told
// not to; its default waiting time grows to two minutes. The pings notice a peer that vanished without a word. etcd ends
// a connection that pings more often than every 5 s, by its own count, or at all while nothing is under way on it.
const GRPC_OPTIONS = {
  "grpc.keepalive_time_ms": 7_000,
  "grpc.keepalive_timeout_ms": 2_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.use_local_subchannel_pool": 1,
  // Several documents of the size that etcd takes at most (1.5 MiB); lists that are larger come in smaller pages.
  "grpc.max_receive_message_length": 32 * 1024 * 1024,
};

/** Does not connect yet. `host` is `host:port`. */
export function etcdClient(host: string, access: Access, clock: Clock): EtcdClient {
  const { client, session } = library(host, access, () => new Date(clock.now() + CALL_MS_MAX));
  const call = async <T>(
    what: string,
    work: (options: { deadline: Date }) => Promise<T>,
    ms = CALL_MS_MAX,
  ): Promise<T> => {
    // The library's deadline is not enough: it does not run while a connection is being made.
    const begun = (): Promise<T> => work({ deadline: new Date(clock.now() + ms) });
    const name = `etcd ${host} ${what}`;
    try {
      const running = session === undefined ? begun() : session.run(begun);
      return await withDeadline(running, { clock, ms, what: name, side: "registry" });
    } catch (error) {
      throw etcdError(name, error, access.login?.username);
    }
  };
  return {
    host,
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
    keysOn: (lease) =>
      call("lease keys", async (options) => {
        const { keys } = await client.leaseClient.leaseTimeToLive({ ID: lease, keys: true }, options);
        return keys;
      }),
    watch: () => call("watch", () => client.watchClient.watch()),
    keepAlive: () => call("lease keepalive", () => client.leaseClient.leaseKeepAlive()),
    close: () => client.close(),
  };
}

interface Library {
  readonly client: Etcd3;
  /** Absent where nobody logs in. */
  readonly session?: Login;
}

function library(host: string, { tls, login: user }: Access, deadline: () => Date): Library {
  const session =
    user === undefined
      ? undefined
      : login(async () => {
          const answer = await client.auth.authenticate(
            { name: user.username, password: user.password },
            { deadline: deadline() },
          );
          return answer.token;
        });
  // The type wants an authority; without one the library takes those that Node knows, as it should.
  const credentials = { rootCertificate: tls?.ca, privateKey: tls?.key, certChain: tls?.cert } as NonNullable<
    IOptions["credentials"]
  >;
  const client = new Etcd3({
    hosts: [tls === undefined ? host : `https://${host}`],
    ...(tls === undefined ? {} : { credentials }),
    grpcOptions: {
      ...GRPC_OPTIONS,
      ...(tls?.serverName === undefined ? {} : { "grpc.ssl_target_name_override": tls.serverName }),
      ...(session === undefined ? {} : { interceptors: [session.interceptor] }),
    },
    // etcd3's own policies retry three times, and open a circuit for 5 s: keepAlive is the one place that retries.
    faultHandling: { host: () => noop, global: noop },
  });
  return session === undefined ? { client } : { client, session };
}

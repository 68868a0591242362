import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { type Clock, StackError, withDeadline } from "@smartstack/core";
import zookeeper, { type Client } from "node-zookeeper-client";
import { CALL_MS_MAX } from "../driver.ts";
import { closedError } from "../mirror.ts";
import { sessionLost, unreachable } from "../session.ts";

/** What takes a session up again on another connection. */
export interface Resume {
  readonly id: Buffer;
  readonly password: Buffer;
}

/** One TCP connection of one session to one server; when it breaks, it is over. */
export interface Connection {
  readonly client: Client;
  readonly resume: Resume;
  /** As `ephemeralOwner` names it, in hex. */
  readonly sessionId: string;
  readonly sessionMs: number;
  /** Aborts when the connection is over, with a StackError as its reason. */
  readonly closed: AbortSignal;
  /** Ends the connection at once, for a reason; the session lives on for its time. */
  drop(reason: StackError): void;
}

export interface ConnectOptions {
  /** host:port */
  readonly host: string;
  readonly sessionMs: number;
  readonly resume?: Resume | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What node-zookeeper-client keeps to itself, as of 1.1.3. */
interface Internals {
  readonly connectionManager: EventEmitter & {
    /** The library's parser takes an IPv6 address for several words. */
    readonly servers: { readonly host: string; readonly port: number }[];
    connect(): void;
    onSocketData(bytes: Buffer): void;
    readonly socket?: Socket;
    readonly connectTimeoutHandler?: NodeJS.Timeout | null;
  };
}

const STATE_CLOSED = -2;
const STATE_SESSION_EXPIRED = -3;

/**
 * Connects, or throws within CALL_MS_MAX. The library's own reconnecting is switched off: after a cut in the middle of a
 * packet it takes the rest for the beginning of the next stream, it never gives up on a server that accepts and stays
 * silent, and it never comes back from an expired session.
 * @throws StackError REGISTRY_SESSION_LOST when the session to resume has expired; REGISTRY_UNREACHABLE.
 */
export async function connectZooKeeper(options: ConnectOptions): Promise<Connection> {
  const { host, resume, clock, signal } = options;
  const what = `zookeeper ${host} connect`;
  const session = resume === undefined ? {} : { sessionId: resume.id, sessionPassword: resume.password };
  const client = zookeeper.createClient(host, { sessionTimeout: options.sessionMs, retries: 0, ...session });
  const { connectionManager: manager } = client as unknown as Internals;
  const colon = host.lastIndexOf(":");
  manager.servers.splice(0, manager.servers.length, {
    host: host.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(host.slice(colon + 1)),
  });
  const closed = new AbortController();
  const drop = (reason: StackError): void => {
    if (closed.signal.aborted) return;
    closed.abort(reason);
    manager.connect = () => undefined;
    manager.connectTimeoutHandler?.unref();
    manager.socket?.destroy();
  };
  const guard = manager.onSocketData;
  manager.onSocketData = (bytes) => {
    try {
      guard.call(manager, bytes);
    } catch (error) {
      // Bytes that are no ZooKeeper answer, or an error code newer than the library.
      drop(unreachable(`zookeeper ${host}: unintelligible answer`, error));
    }
  };
  manager.on("state", (state: number) => {
    if (state === STATE_SESSION_EXPIRED) drop(sessionLost("the ZooKeeper session has expired"));
    if (state === STATE_CLOSED) drop(unreachable(what, "the connection was closed"));
  });

  const abort = (): void => drop(closedError());
  const connected = new Promise<void>((resolve, reject) => {
    client.once("connected", () => resolve());
    closed.signal.addEventListener("abort", () => reject(closed.signal.reason), { once: true });
    client.connect();
    // From here on, the library calls this when the connection broke.
    manager.connect = () => drop(unreachable(`zookeeper ${host}`, "the connection broke"));
  });
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    await withDeadline(connected, { clock, ms: CALL_MS_MAX, what, side: "registry" });
  } catch (error) {
    const reason = error instanceof StackError && error.code !== "DEADLINE" ? error : unreachable(what, error);
    drop(reason);
    throw reason;
  } finally {
    signal.removeEventListener("abort", abort);
  }
  return {
    client,
    resume: { id: client.getSessionId(), password: client.getSessionPassword() },
    sessionId: client.getSessionId().toString("hex"),
    sessionMs: client.getSessionTimeout(),
    closed: closed.signal,
    drop,
  };
}

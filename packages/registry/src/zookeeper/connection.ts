import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { type Clock, StackError, withDeadline } from "@smartstack/core";
import zookeeper, { type Client } from "node-zookeeper-client";
import { CALL_MS_MAX } from "../driver.ts";
import { closedError } from "../mirror.ts";
import { sessionLost, unreachable } from "../session.ts";
import { asStackError } from "./errors.ts";
import { gathering } from "./gathering.ts";
import { messages } from "./messages.ts";

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
  /** The newest change that the server was at in any of its answers. */
  zxid(): number;
  /** Aborts when the connection is over, with a StackError as its reason. */
  readonly closed: AbortSignal;
  /** What is asked for before this turn of the loop ends is sent together: the library writes each request by itself. */
  gather(): void;
  /** Ends the connection at once, for a reason; the session lives on for its time. */
  drop(reason: StackError): void;
}

export interface ConnectOptions {
  /** host:port */
  readonly host: string;
  readonly sessionMs: number;
  readonly resume?: Resume | undefined;
  /** `username:password`, asked for at each connect. */
  readonly credentials?: () => Promise<string | undefined>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What node-zookeeper-client keeps to itself, as of 1.1.3. */
interface Internals {
  readonly manager: EventEmitter & {
    /** The library's parser takes an IPv6 address for several words. */
    readonly servers: { readonly host: string; readonly port: number }[];
    connect(): void;
    findNextServer(found: (server: unknown) => void): void;
    onSocketData(bytes: Buffer): void;
    readonly zxid: Buffer;
    readonly socket?: Socket;
    readonly connectTimeoutHandler?: NodeJS.Timeout | null;
  };
}

const STATE_CLOSED = -2;
const STATE_SESSION_EXPIRED = -3;
const STATE_AUTH_FAILED = -4;

/**
 * Connects, or throws within CALL_MS_MAX. The library's own reconnecting is switched off: after a cut in the middle of a
 * packet it takes the rest for the beginning of the next stream, it never gives up on a server that accepts and stays
 * silent, and it never comes back from an expired session.
 * @throws StackError REGISTRY_SESSION_LOST when the session to resume has expired; REGISTRY_UNREACHABLE; REGISTRY_FAILED
 * for a password that cannot be had.
 */
export async function connectZooKeeper(options: ConnectOptions): Promise<Connection> {
  const { host, clock, signal } = options;
  const what = `zookeeper ${host} connect`;
  const credentials = await credentialsOf(options, what);
  const { client, manager } = clientOf(options);
  const closed = new AbortController();
  const drop = (reason: StackError): void => {
    if (closed.signal.aborted) return;
    closed.abort(reason);
    manager.connect = () => undefined;
    manager.connectTimeoutHandler?.unref();
    manager.socket?.destroy();
  };
  connectOnlyWhile(manager, closed.signal);
  readWhole(manager, closed.signal, (error) => {
    // Bytes that are no ZooKeeper answer, or an error code newer than the library.
    drop(unreachable(`zookeeper ${host}: unintelligible answer`, error));
  });
  manager.on("state", (state: number) => {
    if (state === STATE_SESSION_EXPIRED) drop(sessionLost("the ZooKeeper session has expired"));
    if (state === STATE_CLOSED) drop(unreachable(what, "the connection was closed"));
    if (state === STATE_AUTH_FAILED) drop(unreachable(what, "the server refuses username and password"));
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
  // Not before: what is queued while the library connects is sent behind the first requests.
  if (credentials !== undefined) client.addAuthInfo("digest", Buffer.from(credentials));
  return {
    client,
    resume: { id: client.getSessionId(), password: client.getSessionPassword() },
    sessionId: client.getSessionId().toString("hex"),
    sessionMs: client.getSessionTimeout(),
    zxid: () => Number(manager.zxid.readBigInt64BE()),
    closed: closed.signal,
    gather: gathering(manager.socket),
    drop,
  };
}

async function credentialsOf({ credentials }: ConnectOptions, what: string): Promise<string | undefined> {
  try {
    return await credentials?.();
  } catch (error) {
    throw asStackError(what, error);
  }
}

function clientOf({ host, sessionMs, resume }: ConnectOptions): Internals & { readonly client: Client } {
  const session = resume === undefined ? {} : { sessionId: resume.id, sessionPassword: resume.password };
  const client = zookeeper.createClient(host, { sessionTimeout: sessionMs, retries: 0, ...session });
  const { connectionManager: manager } = client as unknown as { readonly connectionManager: Internals["manager"] };
  const colon = host.lastIndexOf(":");
  manager.servers.splice(0, manager.servers.length, {
    host: host.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(host.slice(colon + 1)),
  });
  return { client, manager };
}

/** The library makes its socket a while after it was told to connect, by which time nobody may want it. */
function connectOnlyWhile(manager: Internals["manager"], closed: AbortSignal): void {
  const find = manager.findNextServer;
  manager.findNextServer = (found) =>
    find.call(manager, (server) => {
      if (!closed.aborted) found(server);
    });
}

function readWhole(manager: Internals["manager"], closed: AbortSignal, refuse: (error: unknown) => void): void {
  const deliver = manager.onSocketData;
  const feed = messages((message) => {
    if (!closed.aborted) deliver.call(manager, message);
  });
  manager.onSocketData = (bytes) => {
    try {
      feed(bytes);
    } catch (error) {
      refuse(error);
    }
  };
}

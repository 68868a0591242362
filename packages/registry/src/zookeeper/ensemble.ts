import { isStackError, passwordOf } from "@smartstack/core";
import { splitChroot } from "../config.ts";
import type { RegistryDeps } from "../driver.ts";
import type { Link } from "../link.ts";
import { closedError } from "../mirror.ts";
import type { EnsembleConfig } from "../zookeeper.ts";
import { openZooKeeper, type ZooKeeper } from "./client.ts";
import type { Resume } from "./connection.ts";

/** Connects to one of an ensemble's servers, for a new session or one to resume. @throws as openZooKeeper */
export type Connect = (signal: AbortSignal, resume?: Resume) => Promise<ZooKeeper>;

/** Each attempt takes the next server, but one that failed only after all that have not, or longer ago. */
export function connector(config: EnsembleConfig, { clock, random }: RegistryDeps, state: Link): Connect {
  const { ttl, auth, access = auth === undefined ? "open" : "read" } = config;
  const { servers } = splitChroot(config.hosts);
  const credentials = async (): Promise<string | undefined> =>
    auth === undefined ? undefined : `${auth.username}:${await passwordOf(auth)}`;
  const failedMs = new Map<string, number>();
  let turn = Math.floor(random() * servers.length);
  const next = (): string => {
    const inTurn = servers.map((_, index) => servers[(turn + index) % servers.length] ?? "");
    turn++;
    return inTurn.sort((a, b) => (failedMs.get(a) ?? 0) - (failedMs.get(b) ?? 0))[0] ?? "";
  };
  return async (signal, resume) => {
    const host = next();
    const failed = (reason: unknown): void => {
      if (!isStackError(reason) || reason.code !== "CLOSED") failedMs.set(host, clock.monotonic());
    };
    try {
      const zk = await openZooKeeper({ host, sessionMs: ttl, resume, access, credentials, clock, signal });
      failedMs.delete(host);
      zk.closed.addEventListener("abort", () => failed(zk.closed.reason), { once: true });
      state.up({ session: `session 0x${zk.sessionId}`, ttlMs: zk.sessionMs });
      return zk;
    } catch (error) {
      failed(error);
      throw error;
    }
  };
}

/** The connections that hold sessions, one for each node. */
export interface Connections {
  /** Resumes the session that this node's entries hang on, or begins a new one. @throws StackError CLOSED after `close`. */
  take(node: string, signal: AbortSignal): Promise<ZooKeeper>;
  /** The node's session is not to be resumed. */
  forget(node: string): void;
  /** Drops all of them, and those on their way; what was made on them lives on for its time. */
  close(): void;
}

export function connections(connect: Connect): Connections {
  const sessions = new Map<string, Resume>();
  const open = new Set<() => void>();
  let closed = false;
  const connecting = async (node: string, signal: AbortSignal): Promise<ZooKeeper> => {
    const stop = new AbortController();
    const end = (): void => stop.abort();
    open.add(end);
    signal.addEventListener("abort", end, { once: true });
    if (closed || signal.aborted) end();
    try {
      if (stop.signal.aborted) throw closedError();
      return await resumeOrBegin(connect, sessions, node, stop.signal);
    } finally {
      open.delete(end);
      signal.removeEventListener("abort", end);
    }
  };
  return {
    async take(node, signal) {
      const zk = await connecting(node, signal);
      const drop = (): void => zk.drop(closedError());
      sessions.set(node, zk.resume);
      zk.closed.addEventListener("abort", () => open.delete(drop), { once: true });
      if (closed) drop();
      if (zk.closed.aborted) throw zk.closed.reason;
      open.add(drop);
      return zk;
    },
    forget: (node) => void sessions.delete(node),
    close() {
      closed = true;
      for (const end of [...open]) end();
    },
  };
}

/** Resumes the session that this node's entries hang on, or begins a new one if that has expired. */
async function resumeOrBegin(
  connect: Connect,
  sessions: Map<string, Resume>,
  node: string,
  signal: AbortSignal,
): Promise<ZooKeeper> {
  const before = sessions.get(node);
  if (before === undefined) return connect(signal);
  try {
    return await connect(signal, before);
  } catch (error) {
    if (!isStackError(error) || error.code !== "REGISTRY_SESSION_LOST") throw error;
    sessions.delete(node);
    return connect(signal);
  }
}

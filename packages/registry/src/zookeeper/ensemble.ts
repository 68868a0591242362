import { isStackError, passwordOf } from "@smartstack/core";
import { splitChroot } from "../config.ts";
import type { RegistryDeps } from "../driver.ts";
import type { Link } from "../link.ts";
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

/** Resumes the session that this node's entries hang on, or begins a new one if that has expired. */
export async function resumeOrBegin(
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

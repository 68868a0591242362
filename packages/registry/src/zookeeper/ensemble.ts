import { isStackError, passwordOf } from "@smartstack/core";
import { splitChroot } from "../config.ts";
import type { RegistryDeps } from "../driver.ts";
import type { Link } from "../link.ts";
import type { EnsembleConfig } from "../zookeeper.ts";
import { openZooKeeper, type ZooKeeper } from "./client.ts";
import type { Resume } from "./connection.ts";

/** Connects to one of an ensemble's servers, for a new session or one to resume. @throws as openZooKeeper */
export type Connect = (signal: AbortSignal, resume?: Resume) => Promise<ZooKeeper>;

/** Each attempt takes the next server. */
export function connector(config: EnsembleConfig, { clock, random }: RegistryDeps, state: Link): Connect {
  const { ttl, auth, access = auth === undefined ? "open" : "read" } = config;
  const { servers } = splitChroot(config.hosts);
  const credentials = async (): Promise<string | undefined> =>
    auth === undefined ? undefined : `${auth.username}:${await passwordOf(auth)}`;
  let turn = Math.floor(random() * servers.length);
  return async (signal, resume) => {
    const host = servers[turn++ % servers.length] ?? "";
    const zk = await openZooKeeper({ host, sessionMs: ttl, resume, access, credentials, clock, signal });
    state.up({ position: `session 0x${zk.sessionId}`, ttlMs: zk.sessionMs });
    return zk;
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

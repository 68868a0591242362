import { type Clock, every, isStackError, sleep, withDeadline } from "@smartstack/core";
import zookeeper, { type Exception, type Stat } from "node-zookeeper-client";
import type { Held } from "../contents.ts";
import { CALL_MS_MAX, PROBE_EVERY_MS, PROBE_MS_MAX } from "../driver.ts";
import { closedError } from "../mirror.ts";
import { unreachable } from "../session.ts";
import { type Access, aclOf } from "./access.ts";
import { type Connection, type ConnectOptions, connectZooKeeper } from "./connection.ts";
import { asStackError, codeOf, isForbidden } from "./errors.ts";
import { type Call, commit, type Refusal, type Step } from "./transaction.ts";

type Callback<T> = (error: Error | Exception | null, value: T) => void;

/** A connection on which every call ends in time. Watchers are called once each; a function counts once for a path. */
export interface ZooKeeper extends Pick<Connection, "resume" | "sessionId" | "sessionMs" | "closed" | "drop"> {
  /** Undefined when there is no such node; the watcher is then not left. */
  children(path: string, watcher?: () => void): Promise<string[] | undefined>;
  read(path: string, watcher?: () => void): Promise<Held | undefined>;
  /** Leaves the watcher in either case. */
  exists(path: string, watcher?: () => void): Promise<{ readonly hold?: string } | undefined>;
  /** Makes a persistent node and those above it; existing ones are fine. */
  ensure(path: string): Promise<void>;
  /** Makes one node, and tells its path, which has a number behind it for sequential types; undefined when it exists. */
  create(path: string, text: string, type: NodeType): Promise<string | undefined>;
  /** All steps or none; what it creates is ephemeral. */
  commit(steps: readonly Step[]): Promise<Refusal>;
  /** Called with ZooKeeper's own count of changes at each heartbeat that is answered. One listener. */
  onBeat(listener: (zxid: number) => void): void;
  /** Ends the session, and with it its ephemeral nodes; within 500 ms. */
  end(): Promise<void>;
}

export interface OpenOptions extends ConnectOptions {
  /** Who may do what with the nodes we make. */
  readonly access: Access;
}

export type NodeType = "ephemeral" | "ephemeral_sequential" | "persistent" | "persistent_sequential";

const NO_SESSION = "0000000000000000";
const END_MS_MAX = 500;

/** A connection that has caught up with its ensemble. @throws as connectZooKeeper */
export async function openZooKeeper(options: OpenOptions): Promise<ZooKeeper> {
  const { host, clock, signal } = options;
  const acl = aclOf(options.access);
  const connection = await connectZooKeeper(options);
  const { client, closed } = connection;
  const call = caller(connection, host, clock);

  const answer = <T>(
    code: number,
    work: (done: Callback<T>) => void,
    what: string,
    ms?: number,
  ): Promise<T | undefined> =>
    call(what, work, ms).catch((error: unknown) => {
      if (codeOf(error) === code) return undefined;
      throw asStackError(`zookeeper ${host} ${what}`, error);
    });
  const exists = async (
    path: string,
    watcher?: () => void,
    ms?: number,
  ): Promise<{ readonly hold?: string } | undefined> => {
    const work = (done: Callback<Stat>): void =>
      watcher === undefined ? client.exists(path, done) : client.exists(path, watcher, done);
    const stat = await answer(zookeeper.Exception.NO_NODE, work, `exists ${path}`, ms);
    // The library answers null for a node that is not there.
    return stat ? holdOf(stat) : undefined;
  };
  const abort = (): void => connection.drop(closedError());
  signal.addEventListener("abort", abort, { once: true });
  try {
    // A member that lags behind would show a past that this process has left behind already. It answers a write only
    // once it has caught up with it; this one changes nothing.
    await commit(client, acl, [{ do: "check", path: "/" }], call, host);
  } catch (error) {
    // A refusal has been through the ensemble as well. The root may be closed to us, and what we need open.
    if (!isForbidden(error)) {
      const reason = asStackError(`zookeeper ${host} catching up`, error);
      connection.drop(reason);
      throw reason;
    }
  } finally {
    signal.removeEventListener("abort", abort);
  }
  let answered: (zxid: number) => void = () => undefined;
  beat(connection, clock, host, async (ms) => {
    await exists("/", undefined, ms);
    answered(connection.zxid());
  });

  return {
    ...connection,
    exists,
    children: (path, watcher) =>
      answer<string[]>(
        zookeeper.Exception.NO_NODE,
        (done) => (watcher === undefined ? client.getChildren(path, done) : client.getChildren(path, watcher, done)),
        `children ${path}`,
      ),
    read(path, watcher) {
      const work = (done: Callback<Held>): void => {
        const receive = (error: Error | Exception | null, data: Buffer | undefined, stat: Stat): void =>
          error ? done(error, { text: "" }) : done(null, { text: data?.toString() ?? "", ...holdOf(stat) });
        if (watcher === undefined) client.getData(path, receive);
        else client.getData(path, watcher, receive);
      };
      return answer(zookeeper.Exception.NO_NODE, work, `read ${path}`);
    },
    async ensure(path) {
      // Where it exists, we may lack the right to make what is above it.
      if ((await exists(path)) !== undefined) return;
      const parts = path.split("/").slice(1);
      for (let depth = 1; depth <= parts.length; depth++) {
        const at = `/${parts.slice(0, depth).join("/")}`;
        if ((await exists(at)) !== undefined) continue;
        await answer<string>(zookeeper.Exception.NODE_EXISTS, (done) => client.create(at, acl, done), `create ${at}`);
      }
    },
    create(path, text, type) {
      const mode = zookeeper.CreateMode[type.toUpperCase() as Uppercase<NodeType>];
      const work = (done: Callback<string>): void => client.create(path, Buffer.from(text), acl, mode, done);
      return answer<string>(zookeeper.Exception.NODE_EXISTS, work, `create ${path}`);
    },
    commit: (steps) => commit(client, acl, steps, call, host),
    onBeat(listener) {
      answered = listener;
    },
    async end() {
      if (closed.aborted) return;
      client.close();
      await sleep(clock, END_MS_MAX, closed);
      connection.drop(closedError());
    },
  };
}

/**
 * The library reads for ever from a peer that vanished: ask, and take silence for the end. Soon enough that a session
 * can still be resumed at another server.
 */
function beat(
  { sessionMs, closed, drop }: Connection,
  clock: Clock,
  host: string,
  ask: (msMax: number) => Promise<unknown>,
): void {
  const stop = every(clock, Math.min(sessionMs / 3, PROBE_EVERY_MS), () => {
    const waitMs = Math.min(sessionMs / 2, PROBE_MS_MAX);
    ask(waitMs).catch((error: unknown) => drop(asStackError(`zookeeper ${host} heartbeat`, error)));
  });
  closed.addEventListener("abort", stop, { once: true });
}

function caller(connection: Connection, host: string, clock: Clock): Call {
  // What was queued while a connection went down never calls back.
  const waiting = new Set<(error: unknown) => void>();
  connection.closed.addEventListener("abort", () => {
    for (const reject of waiting) reject(connection.closed.reason);
  });
  return async <T>(what: string, work: (done: Callback<T>) => void, ms = CALL_MS_MAX): Promise<T> => {
    if (connection.closed.aborted) throw connection.closed.reason;
    let giveUp: (error: unknown) => void = () => undefined;
    const outcome = new Promise<T>((resolve, reject) => {
      giveUp = reject;
      waiting.add(reject);
      connection.gather();
      work((error, value) => (error ? reject(error) : resolve(value)));
    });
    try {
      return await withDeadline(outcome, { clock, ms, what: `zookeeper ${host} ${what}`, side: "registry" });
    } catch (error) {
      // Nobody knows what became of it, and whoever asks next would wait as long.
      if (isStackError(error) && error.code === "DEADLINE") connection.drop(unreachable(`zookeeper ${host}`, error));
      throw error;
    } finally {
      waiting.delete(giveUp);
    }
  };
}

function holdOf(stat: Stat): { readonly hold?: string } {
  const hold = stat.ephemeralOwner.toString("hex");
  return hold === NO_SESSION ? {} : { hold };
}

import { type Clock, describeError, every, StackError, sleep, withDeadline } from "@smartstack/core";
import zookeeper, { type Client, type Exception, type Stat } from "node-zookeeper-client";
import type { Held } from "../contents.ts";
import { CALL_MS_MAX, PROBE_EVERY_MS, PROBE_MS_MAX } from "../driver.ts";
import { closedError } from "../mirror.ts";
import { sessionLost, unreachable } from "../session.ts";
import { type Connection, type ConnectOptions, connectZooKeeper } from "./connection.ts";

/** One step of a transaction. */
export type Step =
  | { readonly do: "check"; readonly path: string }
  | { readonly do: "remove"; readonly path: string }
  | { readonly do: "set"; readonly path: string; readonly text: string }
  | { readonly do: "create"; readonly path: string; readonly text: string };

/** Which step failed, and how; undefined when all were done. */
export type Refusal = { readonly step: number; readonly reason: "no node" | "node exists" } | undefined;

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
  /** All steps or none; what it creates is ephemeral. */
  commit(steps: readonly Step[]): Promise<Refusal>;
  /** Ends the session, and with it its ephemeral nodes; within 500 ms. */
  end(): Promise<void>;
}

const NO_SESSION = "0000000000000000";
const END_MS_MAX = 500;

/** @throws as connectZooKeeper */
export async function openZooKeeper(options: ConnectOptions): Promise<ZooKeeper> {
  const { host, clock } = options;
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
  beat(connection, clock, host, () => exists("/", undefined, PROBE_MS_MAX));

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
        await answer<string>(zookeeper.Exception.NODE_EXISTS, (done) => client.create(at, done), `create ${at}`);
      }
    },
    commit: (steps) => commit(client, steps, call, host),
    async end() {
      if (closed.aborted) return;
      client.close();
      await sleep(clock, END_MS_MAX, closed);
      connection.drop(closedError());
    },
  };
}

/** The library reads for ever from a peer that vanished: ask, and take silence for the end. */
function beat(connection: Connection, clock: Clock, host: string, ask: () => Promise<unknown>): void {
  const stop = every(clock, Math.min(connection.sessionMs / 3, PROBE_EVERY_MS), () => {
    ask().catch((error: unknown) => connection.drop(asStackError(`zookeeper ${host} heartbeat`, error)));
  });
  connection.closed.addEventListener("abort", stop, { once: true });
}

type Call = <T>(what: string, work: (done: Callback<T>) => void, ms?: number) => Promise<T>;

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
      work((error, value) => (error ? reject(error) : resolve(value)));
    });
    try {
      return await withDeadline(outcome, { clock, ms, what: `zookeeper ${host} ${what}`, side: "registry" });
    } finally {
      waiting.delete(giveUp);
    }
  };
}

async function commit(client: Client, steps: readonly Step[], call: Call, host: string): Promise<Refusal> {
  const transaction = client.transaction();
  for (const step of steps) {
    if (step.do === "check") transaction.check(step.path);
    else if (step.do === "remove") transaction.remove(step.path);
    else if (step.do === "set") transaction.setData(step.path, Buffer.from(step.text));
    else transaction.create(step.path, Buffer.from(step.text), zookeeper.CreateMode.EPHEMERAL);
  }
  type Results = readonly { readonly err?: number }[] | undefined;
  const what = `transaction of ${steps.length}`;
  // The steps before the failed one report 0 then, those after it a code of their own; the library's error is the first.
  const settle = (done: Callback<{ error: Error | Exception | null; results: Results }>): void =>
    transaction.commit((error, results: Results) => done(null, { error, results }));
  const { error, results } = await call(what, settle).catch((failure: unknown) => {
    throw asStackError(`zookeeper ${host} ${what}`, failure);
  });
  if (!error) return undefined;
  const code = codeOf(error);
  const step = Math.max(0, results?.findIndex((result) => result.err === code) ?? 0);
  if (code === zookeeper.Exception.NO_NODE) return { step, reason: "no node" };
  if (code === zookeeper.Exception.NODE_EXISTS) return { step, reason: "node exists" };
  throw asStackError(`zookeeper ${host} ${what}`, error);
}

function holdOf(stat: Stat): { readonly hold?: string } {
  const hold = stat.ephemeralOwner.toString("hex");
  return hold === NO_SESSION ? {} : { hold };
}

function codeOf(error: unknown): number | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "number" ? error.code : undefined;
}

function asStackError(what: string, error: unknown): StackError {
  if (error instanceof StackError) return error.code === "DEADLINE" ? unreachable(what, error) : error;
  if (codeOf(error) === zookeeper.Exception.SESSION_EXPIRED)
    return sessionLost("the ZooKeeper session has expired", error);
  if (codeOf(error) === zookeeper.Exception.CONNECTION_LOSS) return unreachable(what, error);
  return new StackError("REGISTRY_FAILED", `${what}: ${describeError(error)}`, {
    side: "registry",
    retry: "after-backoff",
    cause: error,
  });
}

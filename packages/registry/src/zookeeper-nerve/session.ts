import {
  assertInstanceId,
  assertServiceName,
  describeError,
  entryKey,
  every,
  type InstanceRecord,
  isStackError,
  type NodeEntry,
  type Session,
  StackError,
} from "@smartstack/core";
import type { Reject } from "../contents.ts";
import type { RegistryDeps } from "../driver.ts";
import { inParts } from "../in-parts.ts";
import { lastWord } from "../last-word.ts";
import type { Link } from "../link.ts";
import { closedError } from "../mirror.ts";
import { loseOnce, sessionLost } from "../session.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import type { ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";
import type { Layout } from "./layout.ts";
import { type Made, type OwnNodes, ownNodes, unlessRefused } from "./own-nodes.ts";

export interface NerveSessionOptions {
  readonly zk: ZooKeeper;
  readonly made: Made;
  readonly owner: NodeEntry;
  readonly restore: readonly InstanceRecord[];
  readonly config: ZooKeeperNerveConfig;
  readonly layout: Layout;
  readonly link: Link;
  readonly deps: RegistryDeps;
  /** What our own nodes say is the truth as of now. */
  readonly proved: (zxid: number) => void;
  /** Told of each record that cannot be announced. */
  readonly reject: Reject;
  /** The session is not to be resumed. */
  readonly forget: () => void;
}

/** How many nodes are made at once. */
const WRITES_MAX = 64;

/** A session over nerve's nodes: finds again what it made, makes the rest, and watches over all of it. */
export async function nerveSession(options: NerveSessionOptions): Promise<Session> {
  const { zk, made, restore, link, reject } = options;
  const lost = new AbortController();
  let notify: (() => void) | undefined;
  let closed: Promise<void> | undefined;
  const tell = (): void => {
    if (!lost.signal.aborted && closed === undefined) notify?.();
  };
  zk.onBeat(options.proved);
  const nodes = ownNodes({ ...options, zk: counting(zk, link), changed: tell });
  // One record that is refused must not keep a nerve from announcing the others; whoever puts it is told.
  const refusals = new Map<InstanceRecord, StackError>();
  await nodes.recover(restore, refusals);
  const rest = restore.filter((record) => !refusals.has(record));
  await inParts(rest, WRITES_MAX, (record) => unlessRefused(record, refusals, () => nodes.put(record)));
  for (const [{ service, id }, error] of refusals) reject(service, id, describeError(error));

  const stopRefreshing = refreshing(nodes, options);
  const end = (): void => {
    stopRefreshing();
    if (closed !== undefined) return;
    const reason = sessionLost("the connection that holds our session ended", zk.closed.reason);
    link.down(reason);
    loseOnce(lost, reason);
  };
  zk.closed.addEventListener("abort", end, { once: true });
  if (zk.closed.aborted) end();

  const guarded = async ({ service, id }: Pick<InstanceRecord, "service" | "id">, work: () => Promise<void>) => {
    assertServiceName(service);
    assertInstanceId(id);
    if (lost.signal.aborted) throw lost.signal.reason;
    if (closed !== undefined)
      throw new StackError("CLOSED", "the session was closed", { side: "self", retry: "never" });
    try {
      await work();
    } catch (error) {
      // Done or not, nobody knows: the next session looks.
      if (isStackError(error) && error.code === "REGISTRY_UNREACHABLE") zk.drop(error);
      throw lost.signal.aborted ? lost.signal.reason : error;
    }
  };
  return {
    entries: () =>
      new Map([...made.own].filter(([, { intact }]) => intact).map(([key, { record }]) => [key, record.instance])),
    put: (record) => guarded(record, () => nodes.put(record)),
    drop: (service, id) => guarded({ service, id }, () => nodes.drop(entryKey(service, id))),
    onForeignChange(listener) {
      notify = listener;
    },
    lost: lost.signal,
    close(mode) {
      // Behind a turn: what is closed must count as such before its connection ends.
      closed ??= Promise.resolve().then(() => leave(mode, nodes, options));
      return closed;
    },
  };
}

/** The same connection, with every write counted. */
function counting(zk: ZooKeeper, link: Link): ZooKeeper {
  return {
    ...zk,
    create: (path, text, type) => link.writing(zk.create(path, text, type)),
    commit: (steps) => link.writing(zk.commit(steps)),
  };
}

async function leave(mode: "keep" | "withdraw", nodes: OwnNodes, options: NerveSessionOptions): Promise<void> {
  const { zk, link, forget } = options;
  const { clock } = options.deps;
  const withdraw = async (): Promise<void> => {
    await nodes.dropAll();
    forget();
    await zk.end();
  };
  // Whatever a session asks for renews it.
  const renew = async (): Promise<void> => void (await zk.exists("/"));
  if (!zk.closed.aborted)
    // What fails ends with the session, sooner or later; the status says so.
    await lastWord(mode, { holder: { withdraw, renew }, link, clock }, []);
  zk.drop(closedError());
}

/** Writes persistent nodes again and again, the first time after a random part of the time: a fleet must not do so at once. */
function refreshing(nodes: OwnNodes, { config, deps, link }: NerveSessionOptions): () => void {
  const { ttl_seconds: ms, node_type } = config;
  if (ms === undefined || node_type.startsWith("ephemeral")) return () => undefined;
  const refresh = (): void => void nodes.refresh().catch(link.note);
  let stop = deps.clock.after(deps.random() * ms, () => {
    refresh();
    stop = every(deps.clock, ms, refresh);
  });
  return () => stop();
}

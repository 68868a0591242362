import { entryKey, type InstanceRecord, isStackError, type NodeEntry, type StackError } from "@smartstack/core";
import { unreachable } from "../session.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import { isForbidden } from "../zookeeper/errors.ts";
import type { ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";
import type { Layout } from "./layout.ts";
import { foundAgain, isOurs, lookAt, make, type OwnNode, remove, type Wanted } from "./nodes.ts";
import { nodeNameOf, payloadOf } from "./payload.ts";

/** Nerve's nodes: made, found again, watched over. Every call may throw StackError REGISTRY_*. */
export interface OwnNodes {
  /** Forgets what has gone, and finds what was made by a call whose answer got lost, so that nothing is there twice. */
  recover(wanted: readonly InstanceRecord[], refusals: Refusals): Promise<void>;
  put(record: InstanceRecord): Promise<void>;
  drop(key: string): Promise<void>;
  dropAll(): Promise<void>;
  /** Writes all of them again as they are. */
  refresh(): Promise<void>;
}

/** Records that cannot be announced, and why. */
export type Refusals = Map<InstanceRecord, StackError>;

/** What a nerve has made, by entry key. Outlives its sessions. */
export interface Made {
  readonly own: Map<string, OwnNode>;
  /** Asked for, without an answer so far. */
  readonly asked: Map<string, Wanted>;
}

export interface OwnNodesOptions {
  readonly zk: ZooKeeper;
  readonly made: Made;
  readonly owner: NodeEntry;
  readonly config: ZooKeeperNerveConfig;
  readonly layout: Layout;
  /** Somebody else changed one of them. */
  readonly changed: () => void;
}

export function ownNodes({ zk, made, owner, config, layout, changed }: OwnNodesOptions): OwnNodes {
  const { own, asked } = made;
  const watchers = new Map<string, () => void>();

  const wantedOf = (record: InstanceRecord): Wanted => {
    const instanceId = record.instance.name ?? owner.node;
    const text = payloadOf(record.instance, instanceId);
    const name = nodeNameOf(text, instanceId, config.use_path_encoding);
    return { record, text, base: `${layout.folderOf(record.service)}/${name}` };
  };
  const watch = async (key: string): Promise<void> => {
    const node = own.get(key);
    if (node === undefined) return;
    const watcher = watchers.get(key) ?? ((): void => look(key));
    watchers.set(key, watcher);
    const held = await lookAt(zk, node, watcher);
    if (own.get(key) !== node || held?.text === node.text) return;
    // Our own write, whose answer is still on its way.
    if (held !== undefined && held.text === asked.get(key)?.text) return;
    if (held === undefined) own.delete(key);
    else own.set(key, { ...node, intact: false });
    changed();
  };
  const look = (key: string): void => {
    // Without its watch nobody would know of a foreign change: begin anew.
    watch(key).catch((error: unknown) => zk.drop(unreachable("a watch of our own nodes", error)));
  };
  const keep = async (key: string, node: OwnNode): Promise<void> => {
    own.set(key, node);
    await watch(key);
  };
  const drop = async (key: string): Promise<void> => {
    const node = own.get(key);
    if (node === undefined) return;
    own.delete(key);
    try {
      if (await isOurs(zk, node.path, config)) await remove(zk, node.path);
      watchers.delete(key);
    } catch (error) {
      own.set(key, node);
      throw error;
    }
  };

  const write = async (wanted: Wanted, known: OwnNode | undefined): Promise<string> => {
    const isPlace = known?.base === wanted.base;
    if (isPlace && (await zk.commit([{ do: "set", path: known.path, text: wanted.text }])) === undefined)
      return known.path;
    return make(zk, wanted, config);
  };
  const findAgain = async (record: InstanceRecord, taken: Set<string>): Promise<void> => {
    const one = wantedOf(record);
    const key = keyOf(one);
    if (own.has(key)) return;
    const [first, ...more] = await foundAgain(zk, one, config, taken);
    for (const path of more) await remove(zk, path);
    if (first === undefined) return;
    taken.add(first);
    await keep(key, { ...one, path: first, intact: true });
  };

  return {
    async recover(wanted, refusals) {
      for (const [key, node] of [...own]) {
        const held = await lookAt(zk, node);
        // What hangs on a session that has expired is about to go.
        if (held === undefined || (held.hold !== undefined && held.hold !== zk.sessionId)) own.delete(key);
        else await keep(key, { ...node, intact: held.text === node.text });
      }
      const taken = new Set([...own.values()].map(({ path }) => path));
      for (const record of wanted) await unlessRefused(record, refusals, () => findAgain(record, taken));
      for (const [key, one] of asked) {
        const removeAgain = async (): Promise<void> => {
          for (const path of await foundAgain(zk, one, config, taken)) await remove(zk, path);
        };
        if (own.get(key)?.text !== one.text) await unlessRefused(one.record, refusals, removeAgain);
        asked.delete(key);
      }
    },
    async put(record) {
      const key = entryKey(record.service, record.id);
      const wanted = wantedOf(record);
      const known = own.get(key);
      if (known?.intact === true && known.text === wanted.text) {
        // The same node: whoever looks at it at this moment must still tell that it has gone.
        known.record = record;
        return;
      }
      // Asked twice, it would be made twice: an answer that got lost is looked for in the next session.
      asked.set(key, wanted);
      const path = await write(wanted, known).catch((error: unknown) => {
        if (isForbidden(error)) asked.delete(key);
        throw error;
      });
      asked.delete(key);
      await keep(key, { ...wanted, path, intact: true });
      if (known !== undefined && known.path !== path) await remove(zk, known.path);
    },
    drop,
    async dropAll() {
      await Promise.all([...own.keys()].map(drop));
    },
    async refresh() {
      // One that is not there is no longer ours to write; its watch tells.
      for (const { path, text, intact } of [...own.values()]) if (intact) await zk.commit([{ do: "set", path, text }]);
    },
  };
}

/** Does what concerns one record. What is wrong with that one alone is kept; whatever else fails, fails. */
export async function unlessRefused(
  record: InstanceRecord,
  refusals: Refusals,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isStackError(error) || (error.code !== "REGISTRY_FAILED" && error.code !== "DOCUMENT_INVALID")) throw error;
    refusals.set(record, error);
  }
}

function keyOf({ record: { service, id } }: Wanted): string {
  return entryKey(service, id);
}

import { type Held, instancePath } from "../contents.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import { childrenOrNone, type Tree } from "../zookeeper/follow.ts";
import type { ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";
import { type Layout, ONLY, servicesAmong } from "./layout.ts";
import { fromServerSet, idOf, payloadIn } from "./payload.ts";

interface TreeState {
  readonly zk: ZooKeeper;
  readonly layout: Layout;
  readonly decode: ZooKeeperNerveConfig["decode"];
  readonly dirty: Set<string>;
  /** The names of the nodes known of each service. */
  readonly services: Map<string, Set<string>>;
  readonly watchers: Map<string, () => void>;
  readonly touched: () => void;
  changes: Map<string, Held | undefined>;
}

/** Nerve's nodes, wherever its services keep them, as entries of ours. */
export function nerveTree(
  zk: ZooKeeper,
  layout: Layout,
  decode: ZooKeeperNerveConfig["decode"],
  touched: () => void,
): Tree {
  const first = layout.root === undefined ? ONLY : "";
  const state: TreeState = {
    ...{ zk, layout, decode, touched },
    dirty: new Set([first]),
    services: new Map(first === "" ? [] : [[first, new Set()]]),
    watchers: new Map(),
    changes: new Map(),
  };
  return {
    dirty: state.dirty,
    read(path) {
      if (path === "") return readRoot(state, layout.root ?? "/");
      const slash = path.indexOf("/");
      if (slash < 0) return readService(state, path);
      return readNode(state, path.slice(0, slash), path.slice(slash + 1));
    },
    changes() {
      const { changes } = state;
      state.changes = new Map();
      return changes;
    },
  };
}

async function readRoot(state: TreeState, root: string): Promise<void> {
  const { zk, services, dirty } = state;
  const wanted = new Set(servicesAmong(await childrenOrNone(zk, root, watcherOf(state, ""))));
  for (const [service, names] of services) {
    if (wanted.has(service)) continue;
    for (const name of names) gone(state, service, name);
    services.delete(service);
  }
  for (const service of wanted) {
    if (services.has(service)) continue;
    services.set(service, new Set());
    dirty.add(service);
  }
}

async function readService(state: TreeState, service: string): Promise<void> {
  const { zk, layout, services, dirty } = state;
  const present = new Set(await childrenOrNone(zk, layout.folderOf(service), watcherOf(state, service)));
  const known = services.get(service);
  if (known === undefined) return;
  for (const name of known) {
    if (present.has(name)) continue;
    known.delete(name);
    gone(state, service, name);
  }
  for (const name of present) {
    if (known.has(name)) continue;
    known.add(name);
    const text = payloadIn(name);
    // A node whose name tells everything needs no read; what it tells never changes.
    if (text === undefined) dirty.add(`${service}/${name}`);
    else found(state, service, name, text);
  }
}

async function readNode(state: TreeState, service: string, name: string): Promise<void> {
  const { zk, layout, services } = state;
  if (services.get(service)?.has(name) !== true) return;
  const watcher = watcherOf(state, `${service}/${name}`);
  const held = await zk.read(`${layout.folderOf(service)}/${name}`, watcher);
  if (held !== undefined) found(state, service, name, held.text);
  else if (services.get(service)?.delete(name) === true) gone(state, service, name);
}

function found({ decode, changes }: TreeState, service: string, name: string, text: string): void {
  const document = decode.method === "serverset" ? fromServerSet(text, decode.endpoint_name) : text;
  changes.set(instancePath(service, idOf(name)), { text: document });
}

function gone({ changes, watchers }: TreeState, service: string, name: string): void {
  changes.set(instancePath(service, idOf(name)), undefined);
  watchers.delete(`${service}/${name}`);
}

function watcherOf({ watchers, dirty, touched }: TreeState, path: string): () => void {
  const watcher =
    watchers.get(path) ??
    ((): void => {
      dirty.add(path);
      touched();
    });
  watchers.set(path, watcher);
  return watcher;
}

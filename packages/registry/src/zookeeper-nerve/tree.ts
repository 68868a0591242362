import { type Held, instancePath, type Reject } from "../contents.ts";
import type { ZooKeeper } from "../zookeeper/client.ts";
import type { Tree } from "../zookeeper/follow.ts";
import { FORBIDDEN, type Reader, reader } from "../zookeeper/reader.ts";
import type { ZooKeeperNerveConfig } from "../zookeeper-nerve.ts";
import { type Layout, ONLY, servicesAmong } from "./layout.ts";
import { fromServerSet, idOf, payloadIn } from "./payload.ts";

interface TreeState {
  readonly reader: Reader;
  readonly layout: Layout;
  readonly decode: ZooKeeperNerveConfig["decode"];
  /** The names of the nodes known of each service. */
  readonly services: Map<string, Set<string>>;
  changes: Map<string, Held | undefined>;
}

/** Nerve's nodes, wherever its services keep them, as entries of ours. */
export function nerveTree(
  zk: ZooKeeper,
  layout: Layout,
  decode: ZooKeeperNerveConfig["decode"],
  touched: () => void,
  reject: Reject,
): Tree {
  const first = layout.root === undefined ? ONLY : "";
  const state: TreeState = {
    ...{ layout, decode },
    reader: reader(zk, first, touched, reject),
    services: new Map(first === "" ? [] : [[first, new Set()]]),
    changes: new Map(),
  };
  return {
    dirty: state.reader.dirty,
    retry: state.reader.retry,
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
  const { reader, services } = state;
  const wanted = new Set(servicesAmong(await reader.childrenOrNone("", root)));
  for (const [service, names] of services) {
    if (wanted.has(service)) continue;
    for (const name of names) gone(state, service, name);
    services.delete(service);
    reader.forget(service);
  }
  for (const service of wanted) {
    if (services.has(service)) continue;
    services.set(service, new Set());
    reader.dirty.add(service);
  }
}

async function readService(state: TreeState, service: string): Promise<void> {
  const { reader, layout, services } = state;
  const present = new Set(await namesIn(state, service, layout.folderOf(service)));
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
    if (text === undefined) reader.dirty.add(`${service}/${name}`);
    else found(state, service, name, text);
  }
}

async function namesIn({ reader, layout }: TreeState, service: string, folder: string): Promise<readonly string[]> {
  // Of one folder among many, that it is forbidden says nothing of the others; of the only one, it says all.
  const names = layout.root === undefined ? undefined : await reader.children(service, folder);
  if (names === FORBIDDEN) return [];
  return names ?? (await reader.childrenOrNone(service, folder));
}

async function readNode(state: TreeState, service: string, name: string): Promise<void> {
  const { reader, layout, services } = state;
  if (services.get(service)?.has(name) !== true) return;
  const held = await reader.read(`${service}/${name}`, `${layout.folderOf(service)}/${name}`);
  if (held === FORBIDDEN) state.changes.set(instancePath(service, idOf(name)), undefined);
  else if (held !== undefined) found(state, service, name, held.text);
  else if (services.get(service)?.delete(name) === true) gone(state, service, name);
}

function found({ decode, changes }: TreeState, service: string, name: string, text: string): void {
  const document = decode.method === "serverset" ? fromServerSet(text, decode.endpoint_name) : text;
  changes.set(instancePath(service, idOf(name)), { text: document });
}

function gone({ changes, reader }: TreeState, service: string, name: string): void {
  changes.set(instancePath(service, idOf(name)), undefined);
  reader.forget(`${service}/${name}`);
}

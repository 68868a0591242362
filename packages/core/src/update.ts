import type { Instance, NodeEntry } from "./instance.ts";

/** What a watch of one service speaks of: an instance of that service, or the node entry of a nerve. */
export type Entry =
  | { readonly kind: "instance"; readonly id: string; readonly instance: Instance }
  | { readonly kind: "node"; readonly id: string; readonly node: NodeEntry };

/**
 * The one vocabulary of change. A watch begins with a `reset`, and sends another one whenever it may have missed
 * something. A document that does not parse is a `drop` of its id, or is left out of a `reset`.
 */
export type Update =
  | { readonly type: "reset"; readonly entries: readonly Entry[] }
  | { readonly type: "put"; readonly entry: Entry }
  | { readonly type: "drop"; readonly kind: Entry["kind"]; readonly id: string };

/**
 * Updates that became true at the same moment in the registry. They are applied together: an instance and its node
 * entry that vanish with one lease must not be seen as vanishing one after the other.
 */
export type Batch = readonly Update[];

/** The state that a sequence of updates describes. */
export interface ServiceEntries {
  readonly instances: ReadonlyMap<string, Instance>;
  readonly nodes: ReadonlyMap<string, NodeEntry>;
}

export const NO_ENTRIES: ServiceEntries = { instances: new Map(), nodes: new Map() };

/** The state after one batch. Pure: the given state is not touched. */
export function applyBatch(state: ServiceEntries, batch: Batch): ServiceEntries {
  let instances = new Map(state.instances);
  let nodes = new Map(state.nodes);
  for (const update of batch) {
    if (update.type === "reset") {
      instances = new Map();
      nodes = new Map();
      for (const entry of update.entries) put(instances, nodes, entry);
    } else if (update.type === "put") {
      put(instances, nodes, update.entry);
    } else {
      (update.kind === "node" ? nodes : instances).delete(update.id);
    }
  }
  return { instances, nodes };
}

function put(instances: Map<string, Instance>, nodes: Map<string, NodeEntry>, entry: Entry): void {
  if (entry.kind === "node") nodes.set(entry.id, entry.node);
  else instances.set(entry.id, entry.instance);
}

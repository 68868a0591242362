import { decodeInstance, type InstanceRecord, type NodeEntry, StackError } from "@smartstack/core";
import { instancePath, livingHolder } from "./contents.ts";
import type { Copy } from "./mirror.ts";

/** Two nerves on one engine, by different names, would otherwise put each other's entries back for ever. */
export function assertUnclaimed({ service, id }: InstanceRecord, owner: NodeEntry, copy: Copy): void {
  const holder = holderBesides(owner, copy, instancePath(service, id));
  if (holder === undefined) return;
  const message = `${service}/${id} is announced by node ${holder} already; give it to one of the two by docker.filter`;
  throw new StackError("REGISTRY_FAILED", message, { side: "config", retry: "after-backoff" });
}

/** The other node whose nerve holds what lies at a path, and lives. */
export function holderBesides({ node }: NodeEntry, { contents }: Copy, path: string): string | undefined {
  const holder = livingHolder(contents, path);
  return holder === node ? undefined : holder;
}

/** Does a document name another node? Such a one is not ours to delete; what nobody owns, or nobody can read, is. */
export function namesAnother({ node }: Pick<NodeEntry, "node">, text: string): boolean {
  try {
    const holder = decodeInstance(text).node;
    return holder !== undefined && holder !== node;
  } catch {
    // Not a document of anybody's.
    return false;
  }
}

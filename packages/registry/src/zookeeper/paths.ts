import { encodeNodeEntry, type NodeEntry } from "@smartstack/core";
import { nodePath } from "../contents.ts";

/** Where a nerve's own things lie. */
export interface Paths {
  readonly prefix: string;
  readonly nodeEntry: string;
  readonly nodeText: string;
  readonly owners: string;
  /**
   * An empty ephemeral node that names node and boot, and exists while that boot owns the node: a ZooKeeper transaction
   * can demand that a node exists, but not what it says.
   */
  readonly marker: string;
  /** Is this child of `owners` some boot's marker of our node? */
  isMarker(name: string): boolean;
  at(path: string): string;
}

export function pathsOf(prefix: string, owner: NodeEntry): Paths {
  const owners = `${prefix}/.owners`;
  // "@" is in no node's name.
  const start = `${owner.node}@`;
  return {
    prefix,
    nodeEntry: `${prefix}/${nodePath(owner.node)}`,
    nodeText: encodeNodeEntry(owner),
    owners,
    marker: `${owners}/${start}${encodeURIComponent(owner.boot)}`,
    isMarker: (name) => name.startsWith(start),
    at: (path) => `${prefix}/${path}`,
  };
}

/** The node above. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

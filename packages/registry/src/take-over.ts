import { decodeInstance, type Instance, type InstanceRecord, type NodeEntry } from "@smartstack/core";
import { encodeIfFits, type Held, instancePath, livingHolder, placeOf } from "./contents.ts";
import type { Copy } from "./mirror.ts";
import { claimedBy } from "./session.ts";

export interface Write {
  readonly path: string;
  readonly text: string;
}

/**
 * What a nerve has to write to own its node's entries: all it wants to restore, and all that an earlier run of it left
 * behind, now under its own boot. What lies there already, on the same hold, is left alone. So is what our keys make
 * too long: one such document must not keep a nerve from its node, and whoever puts it is told.
 */
export function takeOver(
  owner: NodeEntry,
  restore: readonly InstanceRecord[],
  present: Iterable<readonly [path: string, held: Held]>,
  hold: string | undefined,
): Write[] {
  const found = new Map(present);
  const wanted = new Map<string, string>();
  const want = (path: string, instance: Instance): void => {
    const text = encodeIfFits(claimedBy(owner, instance));
    if (text !== undefined) wanted.set(path, text);
  };
  for (const [path, held] of found) {
    const leftover = placeOf(path)?.kind === "instance" ? ownedBy(owner.node, held.text) : undefined;
    if (leftover !== undefined) want(path, leftover);
  }
  for (const { service, id, instance } of restore) want(instancePath(service, id), instance);
  return [...wanted].flatMap(([path, text]) => {
    const there = found.get(path);
    return there?.text === text && there.hold === hold ? [] : [{ path, text }];
  });
}

/** All that a copy holds. */
export function presentIn({ contents }: Pick<Copy, "contents">): [path: string, held: Held][] {
  return [...contents.paths()].flatMap((path): [string, Held][] => {
    const held = contents.get(path);
    return held === undefined ? [] : [[path, held]];
  });
}

/** Those of `restore` that no other living nerve holds. */
export function unclaimed(
  restore: readonly InstanceRecord[],
  { node }: NodeEntry,
  { contents }: Pick<Copy, "contents">,
): readonly InstanceRecord[] {
  return restore.filter(({ service, id }) => {
    const holder = livingHolder(contents, instancePath(service, id));
    return holder === undefined || holder === node;
  });
}

/** The instance that a document holds, when it is of this node. */
export function ownedBy(node: string, text: string): Instance | undefined {
  try {
    const instance = decodeInstance(text);
    return instance.node === node ? instance : undefined;
  } catch {
    // Not a document of anybody's; readers count it, nobody owns it.
    return undefined;
  }
}

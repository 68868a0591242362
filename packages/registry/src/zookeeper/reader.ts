import { describeError } from "@smartstack/core";
import type { Held, Reject } from "../contents.ts";
import type { ZooKeeper } from "./client.ts";
import { isForbidden } from "./errors.ts";

/** How many of the forbidden nodes are asked for at each heartbeat: no watch tells that an access control list changed. */
const RETRIES_MAX = 16;

/** Stands for what an access control list keeps from us. */
export const FORBIDDEN = Symbol("forbidden");

/**
 * Reads nodes and leaves a watch at each. What an access control list forbids is one node that cannot be read: it is
 * rejected once, and asked for again when it changes and from time to time. Paths are names of the caller's; `at` is
 * where they lie.
 */
export interface Reader {
  /** Touched, and not read since. */
  readonly dirty: Set<string>;
  read(path: string, at: string): Promise<Held | undefined | typeof FORBIDDEN>;
  children(path: string, at: string): Promise<string[] | undefined | typeof FORBIDDEN>;
  /** The children of a node that need not be there yet. @throws StackError REGISTRY_FAILED when they are forbidden. */
  childrenOrNone(path: string, at: string): Promise<string[]>;
  /** It is gone. */
  forget(path: string): void;
  /** Touches some of what was forbidden. */
  retry(): void;
}

/** `first` is what is read first; `touched` is called when a watch touched something. */
export function reader(zk: ZooKeeper, first: string, touched: () => void, reject: Reject): Reader {
  const dirty = new Set([first]);
  const forbidden = new Set<string>();
  /** One function for each path: the library leaves a watcher once, however often the same function is passed. */
  const watchers = new Map<string, () => void>();

  const touch = (path: string): void => {
    dirty.add(path);
    touched();
  };
  const watcherOf = (path: string): (() => void) => {
    const watcher = watchers.get(path) ?? ((): void => touch(path));
    watchers.set(path, watcher);
    return watcher;
  };
  const unlessForbidden = async <T>(path: string, at: string, read: Promise<T>): Promise<T | typeof FORBIDDEN> => {
    try {
      const found = await read;
      forbidden.delete(path);
      return found;
    } catch (error) {
      if (!isForbidden(error)) throw error;
      if (!forbidden.delete(path)) rejectAt(path, error, reject);
      forbidden.add(path);
      // A refused read leaves no watch; to ask whether a node exists needs no right.
      await zk.exists(at, watcherOf(path));
      return FORBIDDEN;
    }
  };
  return {
    dirty,
    read: (path, at) => unlessForbidden(path, at, zk.read(at, watcherOf(path))),
    children: (path, at) => unlessForbidden(path, at, zk.children(at, watcherOf(path))),
    async childrenOrNone(path, at) {
      const watcher = watcherOf(path);
      const names = await zk.children(at, watcher);
      if (names !== undefined || (await zk.exists(at, watcher)) === undefined) return names ?? [];
      return (await zk.children(at, watcher)) ?? [];
    },
    forget(path) {
      watchers.delete(path);
      forbidden.delete(path);
    },
    retry() {
      // Who is refused again goes to the end of the set.
      for (const path of [...forbidden].slice(0, RETRIES_MAX)) touch(path);
    },
  };
}

function rejectAt(path: string, error: unknown, reject: Reject): void {
  const slash = path.indexOf("/");
  const [folder, id] = slash < 0 ? [path, "*"] : [path.slice(0, slash), path.slice(slash + 1)];
  reject(folder, id, describeError(error));
}

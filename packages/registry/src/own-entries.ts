import { type Clock, decodeInstance, entryKey, type Instance } from "@smartstack/core";
import { type Changes, type Held, placeOf } from "./contents.ts";
import type { Copy } from "./mirror.ts";

/** How long an own write may take to come back through the watch before the watch is believed instead. */
const ECHO_MS_MAX = 2_000;

/** What a node has in the registry: what the watch says, with own writes that the watch has not shown yet laid over it. */
export interface OwnEntries {
  entries(): ReadonlyMap<string, Instance>;
  /** What lies at a path as far as is known. */
  get(path: string): Held | undefined;
  /** Before an own write, as its echo may come through the watch before its answer; returns what to call after it. */
  begins(path: string, held: Held | undefined): () => void;
  /** Tells of an own write that succeeded. */
  wrote(path: string, held: Held | undefined): void;
  /** Tells of changes the watch saw. True when one of them was not ours. */
  saw(changes: Changes): boolean;
}

/** `overdue` is called when an own write never came back, and the watch shows something else. */
interface Write {
  readonly held: Held | undefined;
  /** The watch has shown it. */
  echoed: boolean;
}

export function ownEntries(node: string, copy: Copy, clock: Clock, overdue: () => void): OwnEntries {
  const shown = new Map<string, Instance>();
  const inFlight = new Map<string, Write>();
  // In the order they were made: a state may come back while the echo of an earlier one like it is still on its way.
  const awaited = new Map<string, readonly Write[]>();

  const look = (path: string): void => {
    const place = placeOf(path);
    if (place?.kind !== "instance") return;
    const own = awaited.get(path)?.at(-1);
    const instance = own === undefined ? copy.contents.instance(path) : own.held && decodeInstance(own.held.text);
    const key = entryKey(place.service, place.id);
    if (instance?.node === node) shown.set(key, instance);
    else shown.delete(key);
  };
  for (const path of copy.contents.paths()) look(path);

  const awaitEchoes = (path: string, writes: readonly Write[]): void => {
    if (writes.length > 0) awaited.set(path, writes);
    else awaited.delete(path);
  };

  const wrote = (path: string, held: Held | undefined): void => {
    if (placeOf(path)?.kind !== "instance") return;
    const before = awaited.get(path) ?? [];
    const flying = inFlight.get(path);
    const echoed = flying?.echoed === true && flying.held === held;
    // With another write still to come back, equal texts may be an older state that the other one will change.
    if (echoed || (before.length === 0 && copy.contents.get(path)?.text === held?.text)) {
      look(path);
      return;
    }
    const own: Write = { held, echoed: false };
    awaitEchoes(path, [...before, own]);
    look(path);
    const giveUp = (): void => {
      const writes = awaited.get(path) ?? [];
      const at = writes.indexOf(own);
      if (at < 0) return;
      awaitEchoes(path, writes.slice(at + 1));
      look(path);
      if (at === writes.length - 1 && copy.contents.get(path)?.text !== held?.text) overdue();
    };
    clock.after(ECHO_MS_MAX, giveUp, { background: true });
  };

  /** Is it the echo of an own write? Those before it have been passed over: the watch shows them no more. */
  const isEcho = (path: string, held: Held | undefined): boolean => {
    const writes = awaited.get(path) ?? [];
    const at = writes.findIndex((write) => write.held?.text === held?.text);
    if (at >= 0) {
      awaitEchoes(path, writes.slice(at + 1));
      return true;
    }
    const flying = inFlight.get(path);
    if (flying === undefined || flying.held?.text !== held?.text) return false;
    flying.echoed = true;
    awaited.delete(path);
    return true;
  };

  return {
    entries: () => shown,
    get(path) {
      const own = awaited.get(path)?.at(-1);
      return own === undefined ? copy.contents.get(path) : own.held;
    },
    begins(path, held) {
      const own: Write = { held, echoed: false };
      inFlight.set(path, own);
      return () => {
        if (inFlight.get(path) === own) inFlight.delete(path);
      };
    },
    wrote,
    saw(changes) {
      let foreign = false;
      for (const [path, held] of changes) {
        const place = placeOf(path);
        if (place?.kind !== "instance") continue;
        const key = entryKey(place.service, place.id);
        const before = shown.get(key);
        const echo = isEcho(path, held);
        look(path);
        // While an own write is still to come back, what comes before it may be anybody's and is about to change.
        if (echo || awaited.has(path)) continue;
        foreign ||= before !== undefined || shown.has(key);
      }
      return foreign;
    },
  };
}

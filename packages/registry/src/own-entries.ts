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
export function ownEntries(node: string, copy: Copy, clock: Clock, overdue: () => void): OwnEntries {
  const shown = new Map<string, Instance>();
  const inFlight = new Map<string, { readonly held: Held | undefined }>();
  const awaited = new Map<string, { readonly held: Held | undefined }>();

  const look = (path: string): void => {
    const place = placeOf(path);
    if (place?.kind !== "instance") return;
    const own = awaited.get(path);
    const instance = own === undefined ? copy.contents.instance(path) : own.held && decodeInstance(own.held.text);
    const key = entryKey(place.service, place.id);
    if (instance?.node === node) shown.set(key, instance);
    else shown.delete(key);
  };
  for (const path of copy.contents.paths()) look(path);

  const wrote = (path: string, held: Held | undefined): void => {
    if (placeOf(path)?.kind !== "instance") return;
    // With another write still to come back, equal texts may be an older state that the other one will change.
    if (!awaited.has(path) && copy.contents.get(path)?.text === held?.text) {
      look(path);
      return;
    }
    const own = { held };
    awaited.set(path, own);
    look(path);
    const giveUp = (): void => {
      if (awaited.get(path) !== own) return;
      awaited.delete(path);
      look(path);
      if (copy.contents.get(path)?.text !== held?.text) overdue();
    };
    clock.after(ECHO_MS_MAX, giveUp, { background: true });
  };

  return {
    entries: () => shown,
    get(path) {
      const own = awaited.get(path);
      return own === undefined ? copy.contents.get(path) : own.held;
    },
    begins(path, held) {
      const own = { held };
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
        const own = awaited.get(path);
        if (own !== undefined) {
          if (own.held?.text === held?.text) awaited.delete(path);
          continue;
        }
        const key = entryKey(place.service, place.id);
        const before = shown.get(key);
        look(path);
        const flying = inFlight.get(path);
        if (flying !== undefined && flying.held?.text === held?.text) continue;
        foreign ||= before !== undefined || shown.has(key);
      }
      return foreign;
    },
  };
}

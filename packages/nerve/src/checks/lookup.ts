import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import type { ProbeRequest } from "./check.ts";

type Addresses = readonly LookupAddress[];

/** Names of checks are few; those of configurations that are long gone need not be kept. */
const NAMES_MAX = 1_000;

/** Of a probe's time this part may pass before the last address known is taken instead of a new one. */
const WAIT_SHARE = 1 / 4;

interface Known {
  /** Of the last time; empty when there was none, or the name is gone. */
  addresses: Addresses;
  /** The last lookup failed. */
  doubtful: boolean;
  asking: Promise<Addresses> | undefined;
}

/**
 * Lookups that all probes share. Node has two threads for getaddrinfo in the whole process (half of libuv's pool), and
 * a name that does not resolve holds one for ten seconds and more: two such names would take down every other check by
 * name. So a name is asked for once at a time, those that failed the last time one after the other, and a probe does
 * not wait long where an address is known.
 */
export function sharedLookups(resolve: (name: string) => Promise<Addresses>) {
  const names = new Map<string, Known>();
  let doubts: Promise<unknown> = Promise.resolve();

  const knownOf = (name: string): Known => {
    const known = names.get(name) ?? { addresses: [], doubtful: false, asking: undefined };
    // Behind all others: the first of them is the one that was not asked for the longest.
    names.delete(name);
    names.set(name, known);
    for (const oldest of names.keys()) {
      if (names.size <= NAMES_MAX) break;
      names.delete(oldest);
    }
    return known;
  };
  const inTurn = (name: string): Promise<Addresses> => {
    const mine = doubts.then(
      () => resolve(name),
      () => resolve(name),
    );
    doubts = mine;
    return mine;
  };
  const ask = async (name: string, known: Known): Promise<Addresses> => {
    try {
      known.addresses = await (known.doubtful ? inTurn(name) : resolve(name));
      known.doubtful = false;
      return known.addresses;
    } catch (error) {
      known.doubtful = true;
      // A server's word that there is no such name; anything else says nothing new.
      if ((error as NodeJS.ErrnoException).code === "ENOTFOUND") known.addresses = [];
      if (known.addresses.length > 0) return known.addresses;
      throw error;
    } finally {
      known.asking = undefined;
    }
  };
  return ({ clock, timeoutMs }: Pick<ProbeRequest, "clock" | "timeoutMs">): LookupFunction =>
    (name, { all }, callback) => {
      const known = knownOf(name);
      let over = false;
      const answer = (addresses: Addresses): void => {
        const [first] = addresses;
        if (over || first === undefined) return;
        over = true;
        cancel();
        if (all === true) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      };
      const fail = (error: NodeJS.ErrnoException): void => {
        if (over) return;
        over = true;
        cancel();
        callback(error, "");
      };
      const cancel = clock.after(timeoutMs * WAIT_SHARE, () => answer(known.addresses), { background: true });
      known.asking ??= ask(name, known);
      known.asking.then(answer, fail);
    };
}

/** What a probe gives to whatever connects for it. */
export const lookupOf = sharedLookups((name) => lookup(name, { all: true }));

import { hostId, type Tracked, whyOut } from "./container-table.ts";
import type { ContainerFacts } from "./containers.ts";

/** What decides where a container's ports are reached. */
export type Place = Pick<ContainerFacts, "networkMode" | "networks" | "published" | "labels">;

/** Why it has none. `pending`: more will be known later, so this is no verdict on what lies in the registry. */
export interface NoPlace {
  readonly refused: string;
  readonly pending?: true;
}

const HOPS_MAX = 8;

/**
 * A container that uses another's network (`network_mode: service:x` in compose) is reached at that one's addresses and
 * published ports. A restart of the other gives it a new network, and leaves this one in the old, with only a loopback
 * (measured on 20.10). Pure.
 */
export function placeOf(facts: ContainerFacts, find: (id: string) => Tracked | undefined): Place | NoPlace {
  let host = facts;
  for (let hop = 0; hop < HOPS_MAX; hop++) {
    const id = hostId(host);
    if (id === undefined) {
      const { networkMode, networks, published } = host;
      return { networkMode, networks, published, labels: facts.labels };
    }
    const tracked = find(id);
    const name = tracked?.facts?.name || id.slice(0, 12);
    const of = `container ${name}, whose network it uses,`;
    if (tracked?.facts === undefined && tracked?.lifecycle.phase === "in")
      return { refused: `${of} is not inspected yet`, pending: true };
    if (tracked?.facts === undefined)
      return { refused: `${of} is not known: it is gone, or docker.filter leaves it out` };
    const out = whyOut(tracked);
    if (out !== undefined) return { refused: `${of} is out: ${out}` };
    if (Date.parse(tracked.facts.startedAt) > Date.parse(host.startedAt))
      return { refused: `${of} was restarted after it: restart this one too, it has lost its network` };
    host = tracked.facts;
  }
  return { refused: `more than ${HOPS_MAX} containers share each other's network` };
}

/** The containers whose place depends on that one's, however indirectly. Pure. */
export function dependants(id: string, usersOf: (id: string) => Iterable<string>): readonly string[] {
  const found = new Set<string>([id]);
  // A set that grows while it is walked: what depends on what was found is found too.
  for (const at of found) for (const user of usersOf(at)) found.add(user);
  found.delete(id);
  return [...found];
}

import { type Clock, withDeadline } from "@smartstack/core";
import { isLoopback } from "./addresses.ts";

const ROUTE_MS = 2_000;

/** Undefined: not looked for yet; false: looked for, and there is no route. */
export type RouteAddress = string | false | undefined;

export interface RouteAddressDeps {
  /** The registry's, in the order to be asked for. */
  readonly hosts: readonly string[];
  readonly clock: Clock;
  /** This machine's address on the route to a host. */
  readonly sourceTo: (host: string) => Promise<string | undefined>;
  readonly isOwn: (address: string) => boolean;
  readonly onChange: () => void;
}

/** This machine's address on the route to the first registry host that has one. */
export interface RouteAddressKeeper {
  current(): RouteAddress;
  /** Never rejects. */
  look(): Promise<void>;
}

/**
 * Stays with what was found as long as this machine has that address: where it has several, a name that does not resolve
 * for a moment would move every entry to another one and back. A route that is away moves nobody either.
 */
export function routeAddress(deps: RouteAddressDeps): RouteAddressKeeper {
  let address: RouteAddress;
  const isSettled = (): boolean => typeof address === "string" && !isLoopback(address) && deps.isOwn(address);
  return {
    current: () => address,
    async look() {
      if (isSettled()) return;
      const next = (await firstFound(deps)) ?? address ?? false;
      if (next === address) return;
      address = next;
      deps.onChange();
    },
  };
}

async function firstFound({ hosts, clock, sourceTo }: RouteAddressDeps): Promise<string | undefined> {
  for (const host of hosts) {
    const what = `route to ${host}`;
    const source = withDeadline(sourceTo(host), { clock, ms: ROUTE_MS, what, side: "registry" });
    const found = await source.catch(() => undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

import type { ListenAddress } from "@smartstack/proxy";
import { addressText } from "./address.ts";

/** One service that wants to listen. */
export interface Claim {
  readonly name: string;
  readonly wants: readonly ListenAddress[];
  /** Named in the config file, as opposed to discovered. */
  readonly fixed: boolean;
  /** What it listens on now. */
  readonly holds: readonly ListenAddress[];
  /** It has no instance left: it keeps what it holds only as long as nobody else asks for it. */
  readonly vacant: boolean;
}

export interface Grant {
  readonly listen: readonly ListenAddress[];
  /** What it did not get, and who has it. */
  readonly refusals: readonly string[];
}

/**
 * Who listens where: static config wins, then the present holder, then the smallest name; a vacant holder comes last.
 * Pure and deterministic.
 */
export function grantAddresses(claims: readonly Claim[]): ReadonlyMap<string, Grant> {
  const ranked = [...claims].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  /** By path or port, as nothing else can clash. */
  const taken = new Map<string | number, Taken[]>();
  const grants = new Map<string, Grant>();
  for (const claim of ranked) {
    const listen: ListenAddress[] = [];
    const refusals: string[] = [];
    for (const address of claim.wants) {
      const rival = taken.get(place(address))?.find((other) => clash(other.address, address));
      if (rival === undefined) listen.push(address);
      else refusals.push(`${listenText(address)} is taken by service ${rival.by}`);
    }
    // Only now: an address listed together with its own wildcard is not a conflict between services.
    for (const address of listen) {
      const others = taken.get(place(address)) ?? [];
      others.push({ address, by: claim.name });
      taken.set(place(address), others);
    }
    grants.set(claim.name, { listen, refusals });
  }
  return grants;
}

interface Taken {
  readonly address: ListenAddress;
  readonly by: string;
}

function place(address: ListenAddress): string | number {
  return "path" in address ? address.path : address.port;
}

function rank(claim: Claim): number {
  if (claim.fixed) return claim.wants.some((want) => claim.holds.some((held) => same(want, held))) ? 0 : 1;
  if (claim.vacant) return 4;
  return claim.wants.some((want) => claim.holds.some((held) => same(want, held))) ? 2 : 3;
}

export function listenText(address: ListenAddress): string {
  return "path" in address ? `unix:${address.path}` : addressText(address.host, address.port);
}

function same(a: ListenAddress, b: ListenAddress): boolean {
  return listenText(a) === listenText(b);
}

/** Would the kernel, or a reader, take the two for one? A wildcard covers every address of its port. */
function clash(a: ListenAddress, b: ListenAddress): boolean {
  if ("path" in a || "path" in b) return same(a, b);
  if (a.port === 0 || a.port !== b.port) return false; // port 0 asks the kernel for any free one
  return a.host === b.host || isWildcard(a.host) || isWildcard(b.host);
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

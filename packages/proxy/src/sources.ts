import { isIPv6 } from "node:net";
import { plainAddress } from "./ends.ts";
import type { Wire } from "./wire.ts";

/** Connections by where they come from, of services that limit them. */
export interface Sources {
  /** Counts one more of this address for `service`; false, and nothing counted, when it has `max`. */
  admit(wire: Wire, service: string, address: string, max: number): boolean;
  /** The connection is closed, counted or not. */
  leave(wire: Wire): void;
}

export function createSources(): Sources {
  const counts = new Map<string, number>();
  const counted = new Map<Wire, string>();
  return {
    admit(wire, service, address, max) {
      const key = `${service} ${sourceOf(address)}`;
      const count = counts.get(key) ?? 0;
      if (count >= max) return false;
      counts.set(key, count + 1);
      counted.set(wire, key);
      return true;
    },
    leave(wire) {
      if (counted.size === 0) return;
      const key = counted.get(wire);
      if (key === undefined) return;
      counted.delete(wire);
      const count = (counts.get(key) ?? 1) - 1;
      if (count > 0) counts.set(key, count);
      else counts.delete(key);
    },
  };
}

const GROUPS = 8;
/** What one IPv6 subscriber has at least: he may take a new address of it for each connection. */
const PREFIX_GROUPS = 4;

/** Whom an address stands for: itself, or in IPv6 its /64. */
export function sourceOf(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  const [head = "", tail] = (plain.split("%")[0] as string).split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : GROUPS - before.length - after.length;
  const groups = [...before, ...new Array<string>(Math.max(0, zeros)).fill("0"), ...after];
  const prefix = groups.slice(0, PREFIX_GROUPS).map((group) => Number.parseInt(group, 16).toString(16));
  return `${prefix.join(":")}::/64`;
}

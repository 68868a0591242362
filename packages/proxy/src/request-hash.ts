import { isIP } from "node:net";
import { NO_HASH } from "./balance/balance.ts";
import { avalanche } from "./balance/hash.ts";
import { plainAddress } from "./ends.ts";
import { bytesOfIp4, bytesOfIp6 } from "./proxy-protocol/address-bytes.ts";

/** The hash of a client's address, as HAProxy's `balance source` makes it; one without an address has none. */
export function sourceHash(address: string | undefined): number {
  if (address === undefined) return NO_HASH;
  const plain = plainAddress(address);
  const family = isIP(plain);
  if (family === 0) return NO_HASH;
  const bytes = family === 4 ? bytesOfIp4(plain) : bytesOfIp6(plain);
  let hash = 0;
  for (let at = 0; at < bytes.length; at += 4) hash ^= bytes.readInt32BE(at);
  return avalanche(hash);
}

import { isIP } from "node:net";
import type { ListenAddress } from "@smartstack/proxy";
import { z } from "zod";
import { loopback } from "./address.ts";

const EXPECTED = 'expected "127.0.0.1:3000", "[::1]:3000", "3000" (both loopback addresses) or "unix:/run/web.sock"';

/** Where a listen string leads, or undefined when it cannot be read. A bare port, or localhost, means both loopback addresses. */
export function parseListen(text: string): readonly ListenAddress[] | undefined {
  if (text.startsWith("unix:")) return text.length > 5 ? [{ path: text.slice(5) }] : undefined;
  const match = /^(?:\[([^\]]+)\]:|([^:]+):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  const [, ipv6, other] = match;
  if (ipv6 !== undefined) return isIP(ipv6) === 6 ? [{ host: ipv6, port }] : undefined;
  if (other === undefined || other === "localhost") return loopback(port);
  return isIP(other) === 4 ? [{ host: other, port }] : undefined;
}

/** One listen string or a list of them. */
export const listen = z.union([z.string(), z.array(z.string())]).transform((value, context) => {
  const addresses: ListenAddress[] = [];
  for (const text of typeof value === "string" ? [value] : value) {
    const parsed = parseListen(text);
    if (parsed === undefined)
      context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is no address: ${EXPECTED}` });
    else addresses.push(...parsed);
  }
  return addresses;
});

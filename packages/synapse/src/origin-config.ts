import { isIP } from "node:net";
import type { OriginSpec } from "@smartstack/proxy";
import { z } from "zod";

const network = z.string().refine(isNetwork, 'expected an address or a network such as "10.0.0.0/8"');

const headerName = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected a header name such as "X-Request-Id"');

/** The `origin:` key of a service's proxy: what backends are told of a request's origin, and by whom it is believed. */
export const origin = z
  .strictObject({
    x_forwarded: z.array(z.enum(["for", "proto", "host"])).default(["for", "proto"]),
    forwarded: z.boolean().default(false),
    via: headerName.optional(),
    request_id: headerName.optional(),
    trusted_proxies: z.union([z.literal("all"), z.array(network).max(256)]).default("all"),
  })
  .transform(
    (value): OriginSpec => ({
      xForwarded: {
        for: value.x_forwarded.includes("for"),
        proto: value.x_forwarded.includes("proto"),
        host: value.x_forwarded.includes("host"),
      },
      forwarded: value.forwarded,
      via: value.via,
      requestId: value.request_id,
      trusted: value.trusted_proxies,
    }),
  );

function isNetwork(text: string): boolean {
  const [address = "", bits, more] = text.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32));
}

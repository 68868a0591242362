import type { Ends } from "./ends.ts";
import { proxyHeader } from "./proxy-protocol/write.ts";
import type { ServiceSpec } from "./snapshot.ts";
import type { Wire } from "./wire.ts";

/** The bytes a connection to a backend begins with, where it wants to be told who the client is. */
export function clientPreface(
  spec: Pick<ServiceSpec, "sendProxy">,
  told: Ends | undefined,
  client: Wire,
): Uint8Array | undefined {
  return spec.sendProxy === undefined ? undefined : proxyHeader(spec.sendProxy, told ?? client.ends());
}

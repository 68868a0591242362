import { isIP } from "node:net";
import { StackError } from "@smartstack/core";

/** Where the API listens. */
export type AdminAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * Reads `127.0.0.1:3210`, `[::1]:3210`, `3210` (127.0.0.1) or `unix:/path`.
 * @throws StackError CONFIG_INVALID
 */
export function parseAddress(listen: string): AdminAddress {
  if (listen.startsWith("unix:") && listen.length > 5) return { path: listen.slice(5) };
  const match = /^(?:\[([^\]]+)\]:|([^:]+):)?(\d{1,5})$/.exec(listen.trim());
  const host = match?.[1] ?? (match?.[2] === "localhost" ? "127.0.0.1" : (match?.[2] ?? "127.0.0.1"));
  const port = Number(match?.[3]);
  if (match !== null && port <= 65_535 && isIP(host) === (match[1] === undefined ? 4 : 6)) return { host, port };
  throw new StackError(
    "CONFIG_INVALID",
    `admin.listen ${JSON.stringify(listen)} is no address: expected "127.0.0.1:3210", "[::1]:3210" or "unix:/run/smartstack.sock"`,
    { side: "config", retry: "never" },
  );
}

export function addressText(address: AdminAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

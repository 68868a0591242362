import type { ListenAddress } from "@smartstack/proxy";

/** `host:port`, with an IPv6 address in brackets; `unix:/path` as it is. */
export function addressText(host: string, port: number): string {
  if (host.startsWith("unix:")) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The two addresses by which an app on this machine reaches `localhost`. */
export function loopback(port: number): ListenAddress[] {
  return [
    { host: "127.0.0.1", port },
    { host: "::1", port },
  ];
}

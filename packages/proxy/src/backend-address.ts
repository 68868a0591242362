const UNIX = "unix:";

/** `host:port`, IPv6 in brackets; a host of `unix:/path` stands for itself. */
export function addressOf(host: string, port: number): string {
  if (unixPath(host) !== undefined) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The path of a unix socket that a host names, if it does. */
export function unixPath(host: string): string | undefined {
  return host.startsWith(UNIX) ? host.slice(UNIX.length) : undefined;
}

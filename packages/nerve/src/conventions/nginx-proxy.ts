import type { Said } from "../label-keys.ts";
import { type Claim, type Convention, type Conventional, word } from "./convention.ts";

/** What each VIRTUAL_PROTO is carried as: the proxy speaks plain HTTP/1.1; everything else passes through it unread. */
const MODES: ReadonlyMap<string, "http" | "tcp"> = new Map([
  ["http", "http"],
  ["https", "tcp"],
  ["grpc", "tcp"],
  ["grpcs", "tcp"],
  ["uwsgi", "tcp"],
  ["fastcgi", "tcp"],
]);

/** nginx-proxy's VIRTUAL_HOST, VIRTUAL_PORT, VIRTUAL_PROTO and VIRTUAL_PATH, as labels or in the environment. */
export const nginxProxy: Convention = {
  env: /^VIRTUAL_(HOST|PORT|PROTO|PATH)$/,
  read(container) {
    const hosts = word(container, "VIRTUAL_HOST");
    if (hosts === undefined) return { keys: new Map(), warnings: [] };
    const protocol = word(container, "VIRTUAL_PROTO");
    const mode = MODES.get(protocol?.value.toLowerCase() ?? "http");
    const path = word(container, "VIRTUAL_PATH");
    const keys = new Map<string, Said>();
    const warnings: string[] = [];
    const port = word(container, "VIRTUAL_PORT") ?? defaultPort(container);
    if (port !== undefined) keys.set("port", port);
    if (path !== undefined) keys.set("meta.path", path);
    if (mode !== undefined) keys.set("mode", { value: mode, shown: protocol?.shown ?? hosts.shown });
    if (mode === "tcp") warnings.push(`${protocol?.shown}: not HTTP/1.1, so it is carried as tcp`);
    const nameless =
      mode === undefined
        ? `${protocol?.shown}: expected one of ${[...MODES.keys()].join(", ")}`
        : named(hosts, path, keys, warnings);
    return { keys, warnings, ...(nameless === undefined ? {} : { nameless }) } satisfies Claim;
  },
};

/** Names the service by the first literal host; else says why none of them can name it. */
function named(hosts: Said, path: Said | undefined, keys: Map<string, Said>, warnings: string[]): string | undefined {
  // Containers of one host and different paths are no replicas of each other.
  if (path !== undefined && path.value !== "/")
    return `${path.shown}: a part of a host cannot name a service: set smartstack.service`;
  const all = hosts.value.split(",").map((host) => host.trim());
  const literal = all.filter((host) => host !== "" && !host.startsWith("~") && !host.includes("*"));
  const [first] = literal;
  if (first === undefined)
    return `${hosts.shown}: wildcards and regular expressions cannot name a service: set smartstack.service`;
  keys.set("service", { value: first, shown: hosts.shown });
  if (literal.length > 1) warnings.push(`${hosts.shown}: several hosts, of which the first names the service`);
  return undefined;
}

/** Of several ports nginx-proxy takes 80; the only one needs no word. */
function defaultPort({ ports }: Conventional): Said | undefined {
  const tcp = ports.filter(({ protocol }) => protocol === "tcp");
  const has80 = tcp.some(({ port }) => port === 80);
  return tcp.length > 1 && has80 ? { value: "80", shown: "nginx-proxy's default port 80" } : undefined;
}

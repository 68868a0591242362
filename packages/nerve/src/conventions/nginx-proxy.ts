import { type PortKey, parsePortKey, portText } from "../containers.ts";
import { ownLabels, type Said } from "../label-keys.ts";
import { type Claim, type Convention, type Conventional, word } from "./convention.ts";
import { multiportRoutes, type Route } from "./nginx-multiports.ts";

/** What each VIRTUAL_PROTO is carried as: the proxy speaks plain HTTP/1.1; everything else passes through it unread. */
const MODES: ReadonlyMap<string, "http" | "tcp"> = new Map([
  ["http", "http"],
  ["https", "tcp"],
  ["grpc", "tcp"],
  ["grpcs", "tcp"],
  ["uwsgi", "tcp"],
  ["fastcgi", "tcp"],
]);

const UNKNOWN_PROTO = `expected one of ${[...MODES.keys()].join(", ")}`;
const PATTERNS = "wildcards and regular expressions cannot name a service";
// Containers of one host and different paths are no replicas of each other.
const PART = "a part of a host cannot name a service";
const NAME_EACH = "name each port by a label smartstack.<port>.service";
const UNREAD = "not HTTP/1.1, so it is carried as tcp";
const REWRITES = "paths are not rewritten, so it has no effect";

/** nginx-proxy's VIRTUAL_HOST, VIRTUAL_PORT, VIRTUAL_PROTO, VIRTUAL_PATH and VIRTUAL_HOST_MULTIPORTS, as labels or in the environment. */
export const nginxProxy: Convention = {
  env: /^VIRTUAL_(HOST|PORT|PROTO|PATH|DEST|HOST_MULTIPORTS)$/,
  read(container) {
    // As nginx-proxy: it overrides the other words.
    const several = word(container, "VIRTUAL_HOST_MULTIPORTS");
    if (several !== undefined) return severalPorts(container, several);
    const hosts = word(container, "VIRTUAL_HOST");
    return hosts === undefined ? { keys: new Map(), warnings: [] } : onePort(container, hosts);
  },
};

function onePort(container: Conventional, hosts: Said): Claim {
  const protocol = word(container, "VIRTUAL_PROTO");
  const mode = modeOf(protocol?.value);
  const path = word(container, "VIRTUAL_PATH");
  const dest = word(container, "VIRTUAL_DEST");
  const keys = new Map<string, Said>();
  const warnings: string[] = [];
  const standard = defaultPort(container);
  const port = word(container, "VIRTUAL_PORT");
  if (port !== undefined) keys.set("port", port);
  else if (standard !== undefined) keys.set("port", { value: portText(standard), shown: "nginx-proxy's default port" });
  const meant = meantPort(container, port) ?? standard;
  if (meant !== undefined) {
    if (path !== undefined) keys.set(`${portText(meant)}.meta.path`, path);
    if (mode !== undefined) keys.set(`${portText(meant)}.mode`, { value: mode, shown: protocol?.shown ?? hosts.shown });
  }
  if (mode === "tcp") warnings.push(`${protocol?.shown}: ${UNREAD}`);
  if (dest !== undefined && rewrites(path?.value ?? "/", dest.value)) warnings.push(`${dest.shown}: ${REWRITES}`);
  const nameless = mode === undefined ? `${protocol?.shown}: ${UNKNOWN_PROTO}` : named(hosts, path, keys, warnings);
  return { keys, warnings, ...(nameless === undefined ? {} : { nameless }) };
}

/** The port that VIRTUAL_HOST is about: what is said of it is said of no other, which may have a name of its own. */
function meantPort(container: Conventional, said: Said | undefined): PortKey | undefined {
  const own = ownLabels(container.labels);
  const port = own.has("service") ? said : (own.get("port") ?? said);
  return port === undefined ? undefined : parsePortKey(port.value);
}

/** Names the service by the first literal host; else says why none of them can name it. */
function named(hosts: Said, path: Said | undefined, keys: Map<string, Said>, warnings: string[]): string | undefined {
  if (path !== undefined && path.value !== "/") return `${path.shown}: ${PART}: set smartstack.service`;
  const all = hosts.value.split(",").map((host) => host.trim());
  const literal = all.filter((host) => host !== "" && !isPattern(host));
  const [first] = literal;
  if (first === undefined) return `${hosts.shown}: ${PATTERNS}: set smartstack.service`;
  keys.set("service", { value: first, shown: hosts.shown });
  if (literal.length > 1) warnings.push(`${hosts.shown}: several hosts, of which the first names the service`);
  return undefined;
}

/** One service for each port that serves the root of a host. What else is routed by path or pattern is told. */
function severalPorts(container: Conventional, said: Said): Claim {
  // Its value has many lines, as a label too.
  const shown = said.shown.replace(/=.*$/s, "");
  const { routes, problems } = multiportRoutes(said.value);
  const protocol = word(container, "VIRTUAL_PROTO")?.value;
  const keys = new Map<string, Said>();
  const told = new Set(problems.map((problem) => `${shown}: ${problem}`));
  for (const route of routes) {
    const port = routePort(route, container);
    const tell = (problem: string): void => {
      told.add(`${shown}${port === undefined ? "" : `, port ${port.port}`}: ${problem}`);
    };
    const mode = modeOf(route.proto ?? protocol);
    if (port === undefined) tell("expected a port from 1 to 65535 beside each path");
    else if (mode === undefined) tell(`proto: ${UNKNOWN_PROTO}`);
    else if (route.path !== "/") tell(`${PART}: ${NAME_EACH}`);
    else if (isPattern(route.host)) tell(`${PATTERNS}: ${NAME_EACH}`);
    else if (keys.has(`${portText(port)}.service`)) tell("several hosts, of which the first names the service");
    else {
      keys.set(`${portText(port)}.service`, { value: route.host, shown });
      keys.set(`${portText(port)}.mode`, { value: mode, shown });
      if (mode === "tcp") tell(`proto: ${UNREAD}`);
      if (rewrites(route.path, route.dest ?? "")) tell(`dest: ${REWRITES}`);
    }
  }
  const warnings = [...told];
  if (keys.size > 0) return { keys, warnings };
  return { keys, warnings: [], nameless: warnings.join("; ") || `${shown}: it names no host` };
}

function modeOf(protocol: string | undefined): "http" | "tcp" | undefined {
  return MODES.get(protocol?.toLowerCase() ?? "http");
}

function isPattern(host: string): boolean {
  return host.startsWith("~") || host.includes("*");
}

/** Without a dest nginx-proxy passes the path on as it is; `/` for the root is the same. */
function rewrites(path: string, dest: string): boolean {
  return dest !== "" && !(path === "/" && dest === "/");
}

/** Its own, else the default. */
function routePort({ port }: Route, container: Conventional): PortKey | undefined {
  const key = port === undefined ? defaultPort(container) : parsePortKey(port);
  return key?.protocol === "tcp" ? key : undefined;
}

/** Of several ports nginx-proxy takes 80; where that is none of them there is nothing but a guess. */
function defaultPort({ ports }: Conventional): PortKey | undefined {
  const tcp = ports.filter(({ protocol }) => protocol === "tcp");
  return tcp.length === 1 ? tcp[0] : tcp.find(({ port }) => port === 80);
}

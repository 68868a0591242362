import { parseDocument } from "yaml";

/** One path of one host; what was not said is undefined. */
export interface Route {
  readonly host: string;
  readonly path: string;
  readonly port: string | undefined;
  readonly proto: string | undefined;
  readonly dest: string | undefined;
}

export interface Routes {
  readonly routes: readonly Route[];
  /** In words that name no value: it may come from an environment. */
  readonly problems: readonly string[];
}

const EXPECTED = "expected a mapping host → path → {port, proto, dest}";

/** What nginx-proxy opens for a host; here a service's own listen port does. */
const OUTSIDE_PORTS: readonly unknown[] = ["external_http_port", "external_https_port"];

/** Beyond this it is no list of ports; reading it would take time with every look at the container. */
const CHARS_MAX = 16 * 1024;

/**
 * The text of VIRTUAL_HOST_MULTIPORTS, YAML or JSON: `host → path → {port, proto, dest}`, all but the host optional.
 * https://github.com/nginx-proxy/nginx-proxy/blob/main/docs/README.md#multiple-ports. Pure.
 */
export function multiportRoutes(text: string): Routes {
  const parsed = text.length > CHARS_MAX ? { problem: `longer than ${CHARS_MAX} characters` } : parse(text);
  const hosts = "value" in parsed ? parsed.value : undefined;
  if (!(hosts instanceof Map)) return { routes: [], problems: ["problem" in parsed ? parsed.problem : EXPECTED] };
  const routes: Route[] = [];
  const problems = new Set<string>();
  for (const [host, paths] of hosts) {
    if (typeof host !== "string" || (paths !== null && !(paths instanceof Map))) problems.add(EXPECTED);
    else routes.push(...hostRoutes(host, paths ?? new Map(), problems));
  }
  return { routes, problems: [...problems] };
}

/** Maps come as Map. */
function parse(text: string): { readonly value: unknown } | { readonly problem: string } {
  try {
    const document = parseDocument(text, { logLevel: "silent" });
    const [fault] = document.errors;
    if (fault === undefined) return { value: document.toJS({ mapAsMap: true }) };
    return { problem: `neither YAML nor JSON (line ${fault.linePos?.[0].line ?? 1})` };
  } catch {
    // Too deep, or aliases that multiply. The library's own words may quote the text.
    return { problem: "neither YAML nor JSON of a kind that can be read" };
  }
}

function hostRoutes(host: string, said: ReadonlyMap<unknown, unknown>, problems: Set<string>): Route[] {
  const paths = [...said].filter(([path]) => !OUTSIDE_PORTS.includes(path));
  if (paths.length < said.size)
    problems.add("external ports have no effect: a service is listened for at smartstack.listen");
  const routes: Route[] = [];
  for (const [path, settings] of paths.length === 0 ? [["/", null] as const] : paths) {
    if (typeof path !== "string" || (settings !== null && !(settings instanceof Map))) {
      problems.add(EXPECTED);
      continue;
    }
    // What is no text reads as one that fits nothing.
    const text = (key: string): string | undefined => String(settings?.get(key) ?? "").trim() || undefined;
    routes.push({ host, path, port: text("port"), proto: text("proto"), dest: text("dest") });
  }
  return routes;
}

import { imageName, type PortKey, parsePortKey, portText, samePort } from "./containers.ts";
import { composeName, isOneOff } from "./conventions/compose.ts";
import type { Claim, Conventional } from "./conventions/convention.ts";
import { CONVENTIONS, type ConventionName } from "./conventions/index.ts";
import { idlePorts, type Key, type Keys, ownLabels, perPortKeys, type Said, unknownKeys } from "./label-keys.ts";
import { find, type Layers, namedBy, namesIn, portsWith, type Wanted } from "./label-layers.ts";
import {
  booleanValue,
  checkValue,
  choiceValue,
  integerValue,
  type LabelCheck,
  LabelProblem,
  portValue,
  serviceValue,
  timeValue,
} from "./label-values.ts";

export type AddressMode = "auto" | "host" | "container";

/** One service that a container asks to be registered under; undefined = not said. */
export interface LabelledService {
  readonly service: string;
  /** What gave it this name and this port, for people. */
  readonly namedBy: string;
  readonly port: PortKey;
  readonly listen: number | undefined;
  readonly mode: "tcp" | "http" | undefined;
  readonly check: LabelCheck | undefined;
  readonly intervalMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly rise: number | undefined;
  readonly fall: number | undefined;
  readonly weight: number | undefined;
  readonly network: string | undefined;
  readonly address: AddressMode | undefined;
  readonly zone: string | undefined;
  readonly backup: boolean;
  readonly meta: Readonly<Record<string, string>>;
}

export interface LabelsVerdict {
  readonly services: readonly LabelledService[];
  /** The names it wants to be registered as, given or not. */
  readonly asks: readonly string[];
  /** The container asks for something that cannot be given. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  /** It asks for nothing: why it is left alone. */
  readonly ignored?: string;
}

export interface LabelRules {
  /** Those switched on; the first that names a container wins. */
  readonly conventions: readonly ConventionName[];
  /** Takes every container that exposes exactly one TCP port. */
  readonly exposeByDefault: boolean;
}

/** What a container's labels ask for, and by the rules its environment. Pure. A wrong value refuses the services that use it, with the reason. */
export function readLabels(container: Conventional, rules: LabelRules): LabelsVerdict {
  const own = ownLabels(container.labels);
  const misspelt = unknownKeys(own);
  const refusals: string[] = [];
  const none = { services: [], asks: namesIn(own), refusals, warnings: misspelt };
  const leave = (ignored: string): LabelsVerdict => ({ ...none, ignored });
  if (isOneOff(container.labels)) return leave("one-off container (docker-compose run)");
  const out = ignoredPorts(own, refusals);
  if (out === "all") return refusals.length > 0 ? none : leave("smartstack.ignore is set");
  const isOffered = (port: PortKey): boolean => !out.some((other) => samePort(other, port));
  const offered = { ...container, ports: container.ports.filter(isOffered) };
  const claims = rules.conventions.map((name): Claim => CONVENTIONS[name].read(offered));
  const ignored = claims.find((claim) => claim.ignored !== undefined)?.ignored;
  const nameless = claims.find((claim) => claim.nameless !== undefined)?.nameless;
  const exposed =
    ignored === undefined && nameless === undefined && rules.exposeByDefault ? [exposedKeys(offered)] : [];
  const layers: Layers = [own, ...claims.map(({ keys }) => keys), ...exposed];
  const naming = layers.find((layer) => layer.has("service") || portsWith(layer, "service").length > 0);
  if (naming === undefined) {
    if (nameless === undefined || ignored !== undefined) return leave(ignored ?? noName(offered, rules));
    return { ...none, refusals: [...refusals, nameless] };
  }
  const wanted = wantedPorts(offered, layers, naming, refusals);
  const speakers = ["", ...rules.conventions, "docker.expose_by_default"];
  const services = readServices(layers, speakers, wanted.filter(isOffered), refusals);
  const asks = refusals.length === 0 ? services.map(({ service }) => service) : namesIn(naming);
  const warnings = [...misspelt, ...idlePorts(own, [...wanted, ...out]), ...claims.flatMap((claim) => claim.warnings)];
  return { services, asks, refusals, warnings };
}

function noName(container: Conventional, { exposeByDefault }: LabelRules): string {
  const exposed = tcpPorts(container).length;
  if (exposeByDefault && exposed !== 1)
    return `no smartstack.service label, and it exposes ${exposed} TCP ports, where docker.expose_by_default takes exactly one`;
  return "no smartstack.service label, and no convention names it";
}

/** Of `expose_by_default`: the compose service's name, else the image's. */
function exposedKeys(container: Conventional): Keys {
  const { labels, image } = container;
  if (tcpPorts(container).length !== 1) return new Map();
  const fromImage = imageName(image);
  const name = composeName(labels) ?? (fromImage && { value: fromImage, shown: `image ${image}` });
  return new Map(name === undefined || name === "" ? [] : [["service", name]]);
}

function tcpPorts({ ports }: Conventional): readonly PortKey[] {
  return ports.filter((port) => port.protocol === "tcp");
}

/** What the `ignore` labels take out. One that says neither yes nor no takes out too, and adds to `refusals`. */
function ignoredPorts(own: Keys, refusals: string[]): readonly PortKey[] | "all" {
  const isSet = (whole: string): boolean => {
    const said = own.get(whole);
    try {
      return said !== undefined && readAs(said, booleanValue);
    } catch (error) {
      if (!(error instanceof LabelProblem)) throw error;
      refusals.push(error.message);
      return true;
    }
  };
  if (isSet("ignore")) return "all";
  return portsWith(own, "ignore").filter((port) => perPortKeys(port, "ignore").some(isSet));
}

/** The port that was said and the ports that have a name of their own; else the only TCP port. Adds to `refusals` when that leaves nothing. */
function wantedPorts(container: Conventional, layers: Layers, naming: Keys, refusals: string[]): readonly Wanted[] {
  const [own] = layers;
  const named = portsWith(own.has("port") ? own : naming, "service");
  const said = own.get("port") ?? (named.length === 0 ? find(layers, ["port"]) : undefined);
  if (said !== undefined) {
    const port = parsePortKey(said.value);
    if (port === undefined) {
      refusals.push(`${said.shown}: expected a port from 1 to 65535, such as 80 or 53/udp`);
      return named;
    }
    return [{ ...port, because: said.shown }, ...named.filter((other) => !samePort(other, port))];
  }
  if (named.length > 0) return named;
  const candidates = tcpPorts(container);
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return [{ ...only, because: "its only TCP port" }];
  refusals.push(
    candidates.length === 0
      ? "it exposes no TCP port: set the label smartstack.port"
      : `it exposes several ports (${candidates.map(portText).join(", ")}): set the label smartstack.port, or one smartstack.<port>.service each`,
  );
  return [];
}

function readServices(
  layers: Layers,
  speakers: readonly string[],
  wanted: readonly Wanted[],
  refusals: string[],
): LabelledService[] {
  const services: LabelledService[] = [];
  for (const port of wanted) {
    try {
      services.push(readService(layers, speakers, port));
    } catch (error) {
      if (!(error instanceof LabelProblem)) throw error;
      refusals.push(error.message);
    }
  }
  return services;
}

/** @throws LabelProblem naming the label and what was expected. */
function readService(layers: Layers, speakers: readonly string[], wanted: Wanted): LabelledService {
  const { because, ...port } = wanted;
  const get = <T>(key: Key, read: (value: string) => T): T | undefined => {
    const said = find(layers, perPortKeys(port, key));
    return said === undefined ? undefined : readAs(said, read);
  };
  const service = get("service", serviceValue);
  if (service === undefined)
    throw new LabelProblem(
      `port ${portText(port)} has no name: set smartstack.service or smartstack.${port.port}.service`,
    );
  return {
    service,
    namedBy: namedBy(layers, speakers, wanted),
    port,
    listen: get("listen", (value) => portValue(value).port),
    mode: get("mode", (value) => choiceValue(value, ["tcp", "http"])),
    check: get("check", checkValue),
    intervalMs: get("check.interval", (value) => timeValue(value, 100, 3_600_000)),
    timeoutMs: get("check.timeout", (value) => timeValue(value, 10, 60_000)),
    rise: get("check.rise", (value) => integerValue(value, 1, 100)),
    fall: get("check.fall", (value) => integerValue(value, 1, 100)),
    weight: get("weight", (value) => integerValue(value, 0, 256)),
    network: get("network", String),
    address: get("address", (value) => choiceValue(value, ["auto", "host", "container"])),
    zone: get("zone", String),
    backup: get("backup", booleanValue) ?? false,
    meta: meta(layers, port),
  };
}

function readAs<T>(said: Said, read: (value: string) => T): T {
  try {
    return read(said.value);
  } catch (error) {
    throw error instanceof LabelProblem ? new LabelProblem(`${said.shown}: ${error.message}`) : error;
  }
}

function meta(layers: Layers, port: PortKey): Record<string, string> {
  const found: Record<string, string> = {};
  for (const layer of [...layers].reverse()) {
    for (const prefix of [...perPortKeys(port, "meta.")].reverse()) {
      for (const [key, { value }] of layer) if (key.startsWith(prefix)) found[key.slice(prefix.length)] = value;
    }
  }
  return found;
}

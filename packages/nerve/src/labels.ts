import { serviceNameProblem } from "@smartstack/core";
import { type PortKey, parsePortKey, portText, samePort } from "./containers.ts";
import { idlePorts, type Key, ownLabels, PREFIX, perPortKeys, splitKey, unknownKeys } from "./label-keys.ts";
import {
  booleanValue,
  checkValue,
  choiceValue,
  integerValue,
  type LabelCheck,
  LabelProblem,
  portValue,
  timeValue,
} from "./label-values.ts";

export type AddressMode = "auto" | "host" | "container";

/** One service that a container asks to be registered under; undefined = not said. */
export interface LabelledService {
  readonly service: string;
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
  readonly meta: Readonly<Record<string, string>>;
}

export interface LabelsVerdict {
  readonly services: readonly LabelledService[];
  /** The container asks for something that cannot be given. */
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
  /** It asks for nothing: why it is left alone. */
  readonly ignored?: string;
}

export interface LabelsInput {
  readonly labels: Readonly<Record<string, string>>;
  /** Exposed or published by the container. */
  readonly ports: readonly PortKey[];
  readonly image: string;
  readonly compose: boolean;
  readonly exposeByDefault: boolean;
}

/** What a container's labels ask for. Pure. A wrong value refuses the services that use it, with the reason. */
export function readLabels(input: LabelsInput): LabelsVerdict {
  const own = ownLabels(input.labels);
  const warnings = unknownKeys(own);
  const refusals: string[] = [];
  const ignored = ignoredPorts(own, refusals);
  if (ignored === "all")
    return {
      services: [],
      refusals,
      warnings,
      ...(refusals.length > 0 ? {} : { ignored: "smartstack.ignore is set" }),
    };
  const isOffered = (port: PortKey): boolean => !ignored.some((other) => samePort(other, port));
  const offered = { ...input, ports: input.ports.filter(isOffered) };
  const fallback = own.get("service") ?? conventionalName(offered, own);
  const named = portsWith(own, "service");
  if (fallback === undefined && named.length === 0) return { services: [], refusals, warnings, ignored: noName(own) };
  const services: LabelledService[] = [];
  const wanted = wantedPorts(offered, own, named, refusals);
  for (const port of wanted.filter(isOffered)) {
    try {
      services.push(readService(own, port, fallback));
    } catch (error) {
      if (!(error instanceof LabelProblem)) throw error;
      refusals.push(error.message);
    }
  }
  return { services, refusals, warnings: [...warnings, ...idlePorts(own, [...wanted, ...ignored])] };
}

function noName(own: ReadonlyMap<string, string>): string {
  return own.size === 0 ? "no smartstack labels" : "no label smartstack.service";
}

/** A name from elsewhere, where that was switched on. */
function conventionalName(input: LabelsInput, own: ReadonlyMap<string, string>): string | undefined {
  const composeService = input.labels["com.docker.compose.service"];
  const oneOff = input.labels["com.docker.compose.oneoff"] === "True";
  if (input.compose && composeService !== undefined && !oneOff && own.has("port")) return composeService;
  if (!input.exposeByDefault || oneOff || tcpPorts(input).length !== 1) return undefined;
  return composeService ?? imageName(input.image);
}

/** `registry:5000/team/web:1.2@sha256:…` → `web`. */
function imageName(image: string): string {
  const path = image.split("@")[0] ?? "";
  return (path.split("/").at(-1) ?? "").split(":")[0] ?? "";
}

function tcpPorts(input: LabelsInput): readonly PortKey[] {
  return input.ports.filter((port) => port.protocol === "tcp");
}

/** The ports that have this key to themselves. */
function portsWith(own: ReadonlyMap<string, string>, wanted: Key): PortKey[] {
  const ports: PortKey[] = [];
  for (const whole of own.keys()) {
    const { port, key } = splitKey(whole);
    if (port !== undefined && key === wanted) ports.push(port);
  }
  return ports.sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** What the `ignore` labels take out. One that says neither yes nor no takes out too, and adds to `refusals`. */
function ignoredPorts(own: ReadonlyMap<string, string>, refusals: string[]): readonly PortKey[] | "all" {
  const isSet = (whole: string): boolean => {
    const value = own.get(whole);
    try {
      return value !== undefined && readAs(`${PREFIX}${whole}=${value}`, value, booleanValue);
    } catch (error) {
      if (!(error instanceof LabelProblem)) throw error;
      refusals.push(error.message);
      return true;
    }
  };
  if (isSet("ignore")) return "all";
  return portsWith(own, "ignore").filter((port) => perPortKeys(port, "ignore").some(isSet));
}

/** `smartstack.port` and the ports that have a name of their own; else the only TCP port. Adds to `refusals` when that leaves nothing. */
function wantedPorts(
  input: LabelsInput,
  own: ReadonlyMap<string, string>,
  named: readonly PortKey[],
  refusals: string[],
): readonly PortKey[] {
  const said = own.get("port");
  if (said !== undefined) {
    const port = parsePortKey(said);
    if (port === undefined) {
      refusals.push(`label smartstack.port=${said}: expected a port from 1 to 65535, such as 80 or 53/udp`);
      return named;
    }
    return [port, ...named.filter((other) => !samePort(other, port))];
  }
  if (named.length > 0) return named;
  const candidates = tcpPorts(input);
  if (candidates.length === 1) return candidates;
  refusals.push(
    candidates.length === 0
      ? "it exposes no TCP port: set the label smartstack.port"
      : `it exposes several ports (${candidates.map(portText).join(", ")}): set the label smartstack.port, or one smartstack.<port>.service each`,
  );
  return [];
}

/** @throws LabelProblem naming the label and what was expected. */
function readService(own: ReadonlyMap<string, string>, port: PortKey, fallback: string | undefined): LabelledService {
  const get = <T>(key: Key, read: (value: string) => T): T | undefined => {
    for (const whole of perPortKeys(port, key)) {
      const value = own.get(whole);
      if (value !== undefined) return readAs(`${PREFIX}${whole}=${value}`, value, read);
    }
    return undefined;
  };
  const service = get("service", named) ?? readAs("its service name", fallback ?? "", named);
  return {
    service,
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
    meta: meta(own, port),
  };
}

function named(value: string): string {
  const problem = serviceNameProblem(value);
  if (problem !== undefined) throw new LabelProblem(problem);
  return value;
}

function readAs<T>(what: string, value: string, read: (value: string) => T): T {
  try {
    return read(value);
  } catch (error) {
    throw error instanceof LabelProblem ? new LabelProblem(`${what}: ${error.message}`) : error;
  }
}

function meta(own: ReadonlyMap<string, string>, port: PortKey): Record<string, string> {
  const found: Record<string, string> = {};
  for (const prefix of [...perPortKeys(port, "meta.")].reverse()) {
    for (const [key, value] of own) if (key.startsWith(prefix)) found[key.slice(prefix.length)] = value;
  }
  return found;
}

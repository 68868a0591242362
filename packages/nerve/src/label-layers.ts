import { serviceNameProblem } from "@smartstack/core";
import { type PortKey, portText } from "./containers.ts";
import { type Key, type Keys, perPortKeys, type Said, splitKey } from "./label-keys.ts";

/** Who speaks of a container, its own labels first: what one says, those after it cannot change. */
export type Layers = readonly [own: Keys, ...foreign: Keys[]];

/** `because`: what made it this port, where its name does not say so. */
export type Wanted = PortKey & { readonly because?: string };

/** The first layer's word, and within a layer the first key's. */
export function find(layers: Layers, keys: readonly string[]): Said | undefined {
  for (const layer of layers) {
    const key = keys.find((candidate) => layer.has(candidate));
    if (key !== undefined) return layer.get(key);
  }
  return undefined;
}

/** The ports that have this key to themselves. */
export function portsWith(layer: Keys, wanted: Key): PortKey[] {
  const ports: PortKey[] = [];
  for (const whole of layer.keys()) {
    const { port, key } = splitKey(whole);
    if (port !== undefined && key === wanted) ports.push(port);
  }
  return ports.sort((a, b) => a.port - b.port || (a.protocol < b.protocol ? -1 : 1));
}

/** Those that are none stay out: what an environment holds instead is not for status pages. */
export function namesIn(layer: Keys): string[] {
  const said = [...layer].filter(([whole]) => splitKey(whole).key === "service").map(([, { value }]) => value);
  return [...new Set(said)].filter((name) => serviceNameProblem(name) === undefined);
}

/** `label SERVICE_NAME=web (registrator); port 80/tcp: its only TCP port`. */
export function namedBy(layers: Layers, speakers: readonly string[], port: Wanted): string {
  const keys = perPortKeys(port, "service");
  const speaker = speakers[layers.findIndex((layer) => keys.some((key) => layer.has(key)))];
  const by = speaker === undefined || speaker === "" ? "" : ` (${speaker})`;
  const because = port.because === undefined ? "" : `; port ${portText(port)}: ${port.because}`;
  return `${find(layers, keys)?.shown ?? "nothing"}${by}${because}`;
}

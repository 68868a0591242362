import { didYouMean } from "@smartstack/core";
import { type PortKey, parsePortKey, portText, samePort } from "./containers.ts";

export const PREFIX = "smartstack.";

/** Every key after `smartstack.` or `smartstack.<port>.`; `meta.<anything>` besides. */
const KEYS = [
  "service",
  "port",
  "listen",
  "mode",
  "check",
  "check.interval",
  "check.timeout",
  "check.rise",
  "check.fall",
  "weight",
  "network",
  "address",
  "zone",
  "backup",
  "ignore",
] as const;

export type Key = (typeof KEYS)[number];

/** A value, and how to speak of it: `smartstack.weight=3`. */
export interface Said {
  readonly value: string;
  readonly shown: string;
}

/** By key without the prefix. */
export type Keys = ReadonlyMap<string, Said>;

/** An empty value counts as absent, as in every other tool of this kind. */
export function ownLabels(labels: Readonly<Record<string, string>>): Keys {
  const own = new Map<string, Said>();
  for (const [key, text] of Object.entries(labels)) {
    const value = text.trim();
    if (key.startsWith(PREFIX) && value !== "")
      own.set(key.slice(PREFIX.length), { value, shown: `label ${key}=${value}` });
  }
  return own;
}

/** `80.check.interval` → port 80, key `check.interval`. */
export function splitKey(key: string): { readonly port: PortKey | undefined; readonly key: string } {
  const match = /^(\d{1,5}(?:\/(?:tcp|udp))?)\.(.+)$/.exec(key);
  const port = match?.[1] === undefined ? undefined : parsePortKey(match[1]);
  return port === undefined ? { port, key } : { port, key: match?.[2] ?? key };
}

function isKnown(key: string): boolean {
  return (KEYS as readonly string[]).includes(key) || /^meta\../.test(key);
}

export function unknownKeys(own: Keys): string[] {
  const warnings: string[] = [];
  for (const whole of own.keys()) {
    const { key } = splitKey(whole);
    if (isKnown(key)) continue;
    const near = didYouMean(key, KEYS);
    const hint =
      near === undefined ? "" : `, did you mean ${PREFIX}${whole.slice(0, whole.length - key.length)}${near}?`;
    warnings.push(`unknown label ${PREFIX}${whole}${hint}`);
  }
  return warnings.sort();
}

/** Labels of a port that change nothing. */
export function idlePorts(own: Keys, wanted: readonly PortKey[]): string[] {
  const warnings: string[] = [];
  for (const whole of [...own.keys()].sort()) {
    const { port, key } = splitKey(whole);
    if (port === undefined || !isKnown(key)) continue;
    const isWanted = wanted.some((candidate) => samePort(candidate, port));
    if (isWanted && key !== "port") continue;
    const why = isWanted ? "its key names the port" : "that port is not registered";
    warnings.push(`label ${PREFIX}${whole} has no effect: ${why}`);
  }
  return warnings;
}

/** Where a key may stand for a port, the most specific first. */
export function perPortKeys(port: PortKey, key: string): readonly string[] {
  const exact = `${portText(port)}.${key}`;
  return port.protocol === "tcp" ? [exact, `${port.port}.${key}`, key] : [exact, key];
}

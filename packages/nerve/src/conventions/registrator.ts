import { type PortKey, portText, samePort } from "../containers.ts";
import type { Said } from "../label-keys.ts";
import { type Claim, type Convention, type Conventional, word } from "./convention.ts";
import { checkWords } from "./registrator-checks.ts";

const PREFIX = "SERVICE_";

/** `own`: said of this port only; `labelled`: by a label, which everybody may read. */
type Spoken = Said & { readonly name: string; readonly own: boolean; readonly labelled: boolean };

/** What is said of a port: lower-case keys without prefix and port. */
type Words = ReadonlyMap<string, Spoken>;

/**
 * registrator's SERVICE_* words, as labels or in the environment, as with its option -explicit: a container is taken
 * when SERVICE_NAME or SERVICE_<port>_NAME names it. Its other words become `meta`, SERVICE_ID and SERVICE_TAGS too.
 */
export const registrator: Convention = {
  env: /^SERVICE_/,
  read(container) {
    const names = [...new Set([...Object.keys(container.env), ...Object.keys(container.labels)])]
      .filter((name) => name.startsWith(PREFIX))
      .sort();
    const general = wordsFor(container, names, undefined);
    const keys = new Map<string, Said>();
    const warnings = new Set<string>();
    for (const port of container.ports)
      translate(`${portText(port)}.`, wordsFor(container, names, port), keys, warnings);
    translate("", general, keys, warnings);
    const taken = takenPorts(container);
    const free = taken.filter((port) => !isIgnored(wordsFor(container, names, port), warnings));
    for (const port of free) nameOf(wordsFor(container, names, port), port, taken.length > 1, keys);
    const name = general.get("name");
    const ignored = taken.length === 0 ? isIgnored(general, warnings) : free.length === 0;
    if (name !== undefined && !ignored) keys.set("service", name);
    for (const idle of idleNames(names, taken)) warnings.add(idle);
    return {
      keys,
      warnings: [...warnings],
      ...(ignored ? { ignored: "SERVICE_IGNORE is set" } : {}),
    } satisfies Claim;
  },
};

/** The general words and, beating them, those of a port. */
function wordsFor(container: Conventional, names: readonly string[], port: PortKey | undefined): Words {
  const words = new Map<string, Spoken>();
  const add = (own: boolean): void => {
    for (const name of names) {
      const split = splitName(name);
      const said = split.port === (own ? port?.port : undefined) ? word(container, name) : undefined;
      if (said === undefined) continue;
      const labelled = word({ labels: container.labels, env: {} }, name) !== undefined;
      words.set(split.key, { ...said, name, own, labelled });
    }
  };
  add(false);
  if (port !== undefined) add(true);
  return words;
}

/** `SERVICE_80_CHECK_HTTP` → port 80, key `check_http`. */
function splitName(name: string): { readonly port: number | undefined; readonly key: string } {
  const match = /^(\d{1,5})_(.+)$/.exec(name.slice(PREFIX.length));
  return match === null
    ? { port: undefined, key: name.slice(PREFIX.length).toLowerCase() }
    : { port: Number(match[1]), key: (match[2] ?? "").toLowerCase() };
}

/** registrator registers what is published; inside one network, where nothing need be published, what is exposed. */
function takenPorts({ ports, published }: Conventional): readonly PortKey[] {
  const open = ports.filter((port) => published.some((binding) => samePort(binding, port)));
  return open.length > 0 ? open : ports;
}

/** registrator takes any value of SERVICE_IGNORE for yes, `false` too; whoever writes false means it, and is told. */
function isIgnored(words: Words, warnings: Set<string>): boolean {
  const said = words.get("ignore");
  if (said === undefined) return false;
  if (!/^(false|0|no|off)$/i.test(said.value)) return true;
  warnings.add(`${said.shown}: taken for no, though registrator itself would ignore the container`);
  return false;
}

/** One of several ports has its number behind the general name, and one of UDP a tag that says so, as with registrator. */
function nameOf(words: Words, port: PortKey, several: boolean, keys: Map<string, Said>): void {
  const said = words.get("name");
  if (said === undefined) return;
  const suffix = several && !said.own ? `-${port.port}` : "";
  keys.set(`${portText(port)}.service`, { value: `${said.value}${suffix}`, shown: said.shown });
  if (port.protocol !== "udp") return;
  // registrator's readers tell the two protocols apart by this tag.
  const tags = words.get("tags");
  keys.set(`${portText(port)}.meta.tags`, {
    ...(tags ?? said),
    value: joinTags([...splitTags(tags?.value ?? ""), "udp"]),
  });
}

/**
 * Everything but the name. Without a name of registrator's, SERVICE_PASSWORD in an environment was not written for a
 * registry, whatever else has named the container.
 */
function translate(prefix: string, words: Words, keys: Map<string, Said>, warnings: Set<string>): void {
  for (const [key, said] of words) {
    if (key === "name" || key === "ignore" || key.startsWith("check_")) continue;
    if (!said.labelled && !words.has("name")) continue;
    keys.set(`${prefix}meta.${key}`, key === "tags" ? { ...said, value: joinTags(splitTags(said.value)) } : said);
  }
  const checks = checkWords(words);
  for (const [key, said] of checks.keys) keys.set(`${prefix}${key}`, said);
  for (const warning of checks.warnings) warnings.add(warning);
}

/** A comma list in which `\,` is a comma of a tag; empty tags are dropped. */
export function splitTags(text: string): readonly string[] {
  return text
    .split(/(?<!\\),/)
    .map((tag) => tag.replaceAll("\\,", ","))
    .filter((tag) => tag !== "");
}

function joinTags(tags: readonly string[]): string {
  return tags.map((tag) => tag.replaceAll(",", "\\,")).join(",");
}

function idleNames(names: readonly string[], taken: readonly PortKey[]): string[] {
  return names
    .filter((name) => {
      const { port } = splitName(name);
      return port !== undefined && !taken.some((candidate) => candidate.port === port);
    })
    .map((name) => `${name} has no effect: the container offers no such port`);
}

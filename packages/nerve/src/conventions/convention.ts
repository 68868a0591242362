import type { ContainerFacts } from "../containers.ts";
import type { Keys, Said } from "../label-keys.ts";

/** What a convention may look at. */
export type Conventional = Pick<ContainerFacts, "labels" | "env" | "ports" | "published" | "image">;

/** What a container says in the words of a convention, translated into ours. */
export interface Claim {
  /** By the keys of our own labels, without their prefix: `service`, `80/tcp.check`. */
  readonly keys: Keys;
  /** It asks to be registered, but its words give it no name: why. */
  readonly nameless?: string;
  /** It asks to be left alone. Its own labels may say otherwise. */
  readonly ignored?: string;
  readonly warnings: readonly string[];
}

/** One foreign way to describe a service. A new one is one file with one of these, and one line in the table of index.ts. */
export interface Convention {
  /** The variables of a container's environment that it reads; all others are dropped when a container is inspected. */
  readonly env: RegExp | undefined;
  /** Pure. */
  read(container: Conventional): Claim;
}

/** A variable or label of that name; the label beats the variable, and an empty value counts as absent. */
export function word(container: Pick<ContainerFacts, "labels" | "env">, name: string): Said | undefined {
  const label = container.labels[name]?.trim();
  if (label !== undefined && label !== "") return { value: label, shown: `label ${name}=${label}` };
  const variable = container.env[name]?.trim();
  // What stands in an environment is not for logs and status pages.
  return variable === undefined || variable === "" ? undefined : { value: variable, shown: `environment ${name}` };
}

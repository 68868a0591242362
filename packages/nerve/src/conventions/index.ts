import { compose } from "./compose.ts";
import type { Convention } from "./convention.ts";
import { dockerRegister } from "./docker-register.ts";
import { nginxProxy } from "./nginx-proxy.ts";
import { registrator } from "./registrator.ts";

/** The table: one line a convention, sorted. `docker.conventions` switches them on by these names. */
export const CONVENTIONS = {
  compose,
  "docker-register": dockerRegister,
  "nginx-proxy": nginxProxy,
  registrator,
} as const satisfies Record<string, Convention>;

export type ConventionName = keyof typeof CONVENTIONS;

export const CONVENTION_NAMES = Object.keys(CONVENTIONS) as ConventionName[];

/** Which variables of a container's environment are read at all. Pure. */
export function envFilter(conventions: readonly ConventionName[]): (variable: string) => boolean {
  const patterns = conventions.map((name) => CONVENTIONS[name].env).filter((pattern) => pattern !== undefined);
  return (variable) => patterns.some((pattern) => pattern.test(variable));
}

import type { CheckKind } from "./check.ts";
import { docker } from "./docker.ts";
import { http } from "./http.ts";
import { none } from "./none.ts";
import { tcp } from "./tcp.ts";

/** The table: one line a kind, sorted. `noop` is the original nerve's name for none. */
export const CHECKS = { docker, http, none, noop: none, tcp } as const satisfies Record<string, CheckKind>;

export type CheckType = keyof typeof CHECKS;

/** The kinds that a service from configuration may ask for. */
export const CONFIG_CHECKS = (Object.keys(CHECKS) as CheckType[]).filter((type) => CHECKS[type].inConfig);

/** One check of one instance, ready to be run. */
export interface CheckSpec {
  readonly type: CheckType;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly expect: string | undefined;
  readonly published: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
}

/** For people: `tcp 172.17.0.2:80`, `http 172.17.0.2:80/health`, `docker`. */
export function checkText(check: CheckSpec): string {
  if (!CHECKS[check.type].active) return check.type;
  const host = check.host.includes(":") ? `[${check.host}]` : check.host;
  return `${check.type} ${host}:${check.port}${check.type === "http" ? check.path : ""}`;
}

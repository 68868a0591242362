import { z } from "zod";
import { formatAddress } from "../addresses.ts";
import type { CheckKind } from "./check.ts";
import { docker } from "./docker.ts";
import { exec } from "./exec.ts";
import { grpc } from "./grpc.ts";
import { http, https } from "./http.ts";
import { mysql } from "./mysql.ts";
import { none } from "./none.ts";
import { postgres } from "./postgres.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { redis } from "./redis.ts";
import { tcp } from "./tcp.ts";

/** The table: one line a kind, sorted. `noop` is the original nerve's name for none. */
const TABLE = {
  docker,
  exec,
  grpc,
  http,
  https,
  mysql,
  none,
  noop: none,
  postgres,
  rabbitmq,
  redis,
  tcp,
} as const satisfies Record<string, CheckKind>;

export type CheckType = keyof typeof TABLE;

/** Each kind with the options that its own `keys` made; see optionsOf and config.ts. */
export const CHECKS: Readonly<Record<CheckType, CheckKind>> = TABLE;

/** The kinds that a service from configuration may ask for. */
export const CONFIG_CHECKS = (Object.keys(CHECKS) as CheckType[]).filter((type) => CHECKS[type].inConfig);

/** One check of one instance, ready to be run. */
export interface CheckSpec {
  readonly type: CheckType;
  readonly host: string;
  readonly port: number;
  /** Plain data, made by the kind's `keys`. */
  readonly options: unknown;
  readonly published: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
  /** Changes of health within a minute that are believed; undefined = all. */
  readonly damping: number | undefined;
}

/** A kind's options from what was written; what was not gets its default. @throws ZodError for what no configuration or label lets through. */
export function optionsOf(type: CheckType, written: Readonly<Record<string, unknown>>): unknown {
  return z.object(CHECKS[type].keys).parse(written);
}

/** For people: `tcp 172.17.0.2:80`, `http 172.17.0.2:80/health`, `docker`. */
export function checkText({ type, host, port, options }: CheckSpec): string {
  const kind = CHECKS[type];
  return kind.active ? `${type} ${formatAddress(host, port)}${kind.detail?.(options) ?? ""}` : type;
}
